"""Find the layers that compute a classifier's logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.models.classifier import Classifier
from ectool.models.modes import frozen

Node = Any
"""A node of the autograd graph, which torch does not type."""
_SUMS = ("AddBackward", "SubBackward")
_PRODUCTS = ("MulBackward", "DivBackward")
_PARAMETRIZED = ".parametrizations."


def head_layers(model: Classifier) -> set[str]:
    """Return the names of the layers that compute the logits: usually one linear map.

    The autograd graph is followed back from the logits. On every path, the head is the first weight
    that mixes channels (with two or more dimensions), with the biases and scales after it. A
    network that averages the logits of two heads has two such weights. The widths of other layers
    do not matter.

    Args:
        model: The classifier, left as found.

    Returns:
        Their names in ``model.network``; for a weight in a module with other layers, the name of
        the weight.

    Raises:
        InputError: The number of outputs is not the number of classes, or no head is found.

    Cost: one forward pass of one image.
    """
    names: dict[Tensor, str] = {p: name for name, p in model.network.named_parameters()}
    pixels = torch.zeros(1, 3, *model.input_size).to(model.mean)
    with frozen(model), torch.inference_mode(False), torch.enable_grad():
        for parameter in names:
            if parameter.is_floating_point():
                parameter.requires_grad_(True)
        logits = model(pixels.requires_grad_(True))
        found = list(_head_weights(logits, pixels))
    classes = len(model.class_names)
    mixing = [p for p in found if p.ndim > 1 and p in names]
    if len(mixing) > 1 and not _ancestors_of(pixels, logits.grad_fn):
        raise InputError(
            f"head of {model.architecture}",
            expected="a network whose logits have gradients with respect to the image",
            got="no gradients, and several layers that may be its head",
            fix="remove torch.no_grad() and detach() from its forward pass",
        )
    misfit = [p for p in mixing if classes not in (p.shape[0], p.shape[-1])]
    if misfit or not mixing:
        where = _entry(model.network, names[misfit[0]]) if misfit else ""
        raise InputError(
            f"head of {model.architecture}",
            expected=f"a last layer with {classes} outputs",
            got=f"{where} with {misfit[0].shape[0]}" if misfit else "none",
            fix="load weights for the same classes and keep their head",
        )
    return {_entry(model.network, names[parameter]) for parameter in found if parameter in names}


def _entry(network: nn.Module, name: str) -> str:
    """Return the layer of a parameter, or its own name if its module contains other layers."""
    layer = name.partition(_PARAMETRIZED)[0] if _PARAMETRIZED in name else name.rpartition(".")[0]
    below = {child for child, _ in network.get_submodule(layer).named_children()}
    return name if below - {_PARAMETRIZED.strip(".")} or not layer else layer


def _head_weights(logits: Tensor, pixels: Tensor) -> Iterator[Tensor]:
    """Yield the parameters of the first mixing node on every path from logits to pixels."""
    on_path = _ancestors_of(pixels, logits.grad_fn)
    pending, seen = [logits.grad_fn], set()
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        children = [child for child, _ in node.next_functions if child is not None]
        weights = [w for child in children if child not in on_path for w in _leaves(child)]
        yield from weights
        if not _mixes(node, weights):
            pending += [child for child in children if child in on_path]


def _mixes(node: Node, weights: list[Tensor]) -> bool:
    """Return whether a node mixes channels; addition and scales for each channel do not."""
    if node.name().startswith(_SUMS):
        return False
    if node.name().startswith(_PRODUCTS):
        return any(sum(side > 1 for side in weight.shape) > 1 for weight in weights)
    return any(weight.ndim > 1 for weight in weights)


def _ancestors_of(pixels: Tensor, root: Node) -> set[Node]:
    """Return the nodes of the graph that depend on the pixels."""
    order, stack, known = [], [(root, False)], set()
    while stack:
        node, is_done = stack.pop()
        if is_done:
            order.append(node)
        elif node is not None and node not in known:
            known.add(node)
            stack.append((node, True))
            stack += [(child, False) for child, _ in node.next_functions]
    found: set[Node] = set()
    for node in order:  # children before parents
        if getattr(node, "variable", None) is pixels or any(
            child in found for child, _ in node.next_functions
        ):
            found.add(node)
    return found


def _leaves(root: Node) -> Iterator[Tensor]:
    """Yield the parameters that a node of the graph is computed from."""
    pending, seen = [root], set()
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None:
            yield variable
        pending += [child for child, _ in node.next_functions]
