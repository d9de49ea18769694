"""Gradient of the loss, heatmaps and logits of a batch from one forward pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ectool.attacks.ball import Pixels
from ectool.explainers.cam.linear_head import LinearHead
from ectool.explainers.cam.reductions import weighted_map
from ectool.explainers.cut import OpenHead, only_output
from ectool.models.classifier import Classifier
from ectool.models.modes import forward_hooks, frozen
from ectool.models.objective import Labels
from ectool.training.losses import attack_loss


@dataclass(frozen=True)
class Explained:
    """Results of one pass, without graphs.

    Attributes:
        gradient: Gradient of the summed loss with respect to the pixels.
        heatmaps: Grad-CAM of each explained class, at the resolution of the layer, if asked for.
        logits: Logits.
    """

    gradient: Pixels
    heatmaps: Float[Tensor, "n *k i j"] | None
    logits: Float[Tensor, "n c"]


class ExplainedGradient:
    """Attack gradient and Grad-CAM of a model in training, in evaluation mode.

    Args:
        model: The model; each call restores its modes, gradients and hooks.

    Raises:
        InputError: The model has no target layer.
    """

    def __init__(self, model: Classifier) -> None:
        self.model, self.module = model, model.target_module
        self.begin()

    def begin(self) -> None:
        """Look for a pooled linear head again, to be called in every epoch.

        So a resumed training finds the same one, although the search depends on the weights.
        """
        self._linear = LinearHead(self.model)

    def __call__(
        self, pixels: Pixels, labels: Labels, classes: Int64[Tensor, "n *k"] | None = None
    ) -> Explained:
        """Differentiate the loss and explain the images.

        Args:
            pixels: Images in [0, 1].
            labels: True labels.
            classes: The classes to explain; -1 means no class. None for no heatmaps.

        Cost: 1 forward pass and 1 input-gradient pass; for heatmaps of a head that is not a pooled
        linear one, also 1 backward pass of the head per column of classes.
        """
        leaf = pixels.detach().requires_grad_()
        linear = None if classes is None else self._linear.find(pixels)
        recorded: list[Tensor] = []

        def record(_module: nn.Module, _arguments: tuple[object, ...], output: object) -> object:
            if not isinstance(output, Tensor):
                return output
            recorded.append(output)
            # A head may overwrite its input, unless it only averages.
            return output if linear is not None else output.clone()

        with torch.enable_grad(), frozen(self.model):
            with forward_hooks([] if classes is None else [self.module], record):
                logits = self.model(leaf)
            heatmaps, size = None, (pixels.shape[2], pixels.shape[3])
            if classes is not None:  # before the gradient of the loss, which frees the graph
                output = only_output(recorded, self.model)
                head = OpenHead(self.model.target_layer, size, output, logits)
                heatmaps = _heatmaps(head, linear, classes)
            loss = attack_loss(labels).compute(logits, labels, None)
            (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        return Explained(gradient, heatmaps, logits.detach())


def _heatmaps(
    head: OpenHead, linear: nn.Linear | None, classes: Int64[Tensor, "n *k"]
) -> Float[Tensor, "n *k i j"]:
    """Return Grad-CAM, by the closed form for a pooled linear head."""
    columns, activations = classes.view(len(classes), -1), head.activations
    if linear is not None:
        rows = linear.weight.detach().float()[columns.clamp(min=0)]
        return weighted_map(rows / activations[0, 0].numel(), activations, classes)
    means = [head.gradients(column).float().mean((2, 3)) for column in columns.unbind(1)]
    return weighted_map(torch.stack(means, 1), activations, classes)
