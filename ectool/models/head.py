"""Find the layers that compute a classifier's logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.models.classifier import Classifier
from ectool.models.modes import forward_hooks, frozen, graph_free


def head_layers(model: Classifier) -> set[str]:
    """Return the names of the layers that compute the logits: usually one linear map.

    Those are the last layers with weights to run, as many as put out one value per class; there are
    two where a network averages the answers of two heads.

    Args:
        model: The classifier, left as found.

    Returns:
        Their names inside of ``model.network``.

    Raises:
        InputError: The last layer with weights to run puts out something else.

    Cost: one forward pass of one image.
    """
    runs: list[tuple[str, int]] = []
    names = {
        module: name
        for name, module in model.network.named_modules()
        if next(module.parameters(), None) is not None and next(module.children(), None) is None
    }

    def note(module: nn.Module, _arguments: tuple[object, ...], output: object) -> None:
        if isinstance(output, Tensor):
            # Logits, or a map of them that is still to be averaged; tokens are counted on axis 1.
            runs.append((names[module], output.shape[1] if output.ndim in (2, 4) else 0))

    with graph_free(), frozen(model), forward_hooks(names, note):
        model(torch.zeros(1, 3, *model.input_size).to(model.mean))
    head = set()
    while runs and runs[-1][1] == len(model.class_names):
        head.add(runs.pop()[0])
    if head:
        return head
    raise InputError(
        f"head of {model.architecture}",
        expected=f"a last layer with {len(model.class_names)} outputs",
        got=f"{runs[-1][0]} with {runs[-1][1]}" if runs else "none",
        fix="load weights for the same classes and keep their head",
    )
