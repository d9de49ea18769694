"""Grad-CAM that is differentiable with respect to the pixels, for attacks on the explanation."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ectool.explainers.base import Explanation, Targets, choose_targets
from ectool.explainers.cut import only_output
from ectool.models.classifier import Classifier
from ectool.models.layers.target_layer import TargetLayer
from ectool.models.modes import forward_hooks, frozen


class DifferentiableGradCAM:
    """Grad-CAM whose heatmaps and logits have an autograd graph to the pixels.

    The same maps as ``GradCAM``: ``relu(sum_k alpha_k A_k)`` with
    ``alpha_k = mean_{i,j} d logits[y] / d A_k[i,j]``. Both factors are differentiated, alpha by
    a second derivative of the head. For a head of averages, linear maps and ReLU, alpha is constant
    almost everywhere, and only the activations contribute to the gradient; smooth heads (tanh,
    GELU, layer norm, attention) contribute through alpha, too. A map that is zero has no gradient.

    Args:
        model: The classifier; each call restores its modes, gradients and hooks.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch.

        Args:
            images: RGB in [0, 1]; gradients flow back to them if they require gradients.
            targets: The class to explain per image, or k classes; -1 means no class, and its
                heatmap is zero. Default: the predicted class.

        Returns:
            float32 heatmaps on the raw scale at the layer's resolution, and the logits, with a
            graph, even if the caller has disabled gradients.

        Cost: one forward pass, and one backward pass of the head per column with a target;
        differentiating the result costs a backward pass through all of these.
        """
        recorded: list[Tensor] = []

        def record(_module: nn.Module, _arguments: tuple[object, ...], output: object) -> object:
            if not isinstance(output, Tensor):
                return output
            # Frozen parameters require no gradient, and the images need not require one.
            recorded.append(output if output.requires_grad else output.detach().requires_grad_())
            # The head gets a copy, because it may overwrite its input.
            return recorded[-1].clone()

        layer, size = self.model.target_layer, (images.shape[2], images.shape[3])
        with torch.inference_mode(False), torch.enable_grad(), frozen(self.model):
            hooks = forward_hooks([self.model.target_module], record)
            # Fused attention has no second derivative.
            with hooks, sdpa_kernel(SDPBackend.MATH):
                logits = self.model(images)
            output = only_output(recorded, self.model)
            classes = choose_targets(logits.detach(), targets)
            alpha = _alpha(layer, size, output, logits, classes)
            activations = layer.to_nchw(output, size).float()
            # No in-place operations: the graph needs all intermediate values.
            heatmaps = torch.einsum("n...c,nchw->n...hw", alpha, activations).relu()
            return Explanation(heatmaps * (classes[..., None, None] >= 0), logits)


def _alpha(
    layer: TargetLayer,
    size: tuple[int, int],
    output: Float[Tensor, "n ..."],
    logits: Float[Tensor, "n classes"],
    targets: Int[Tensor, "n *k"],
) -> Float[Tensor, "n *k c"]:
    """Return the mean gradient over the positions, one column of targets after the other."""
    columns = targets if targets.ndim > 1 else targets[:, None]
    means = []
    for column in columns.unbind(1):
        # The sum over the batch: the logit of an image depends only on its own activations.
        chosen = logits.gather(1, column.clamp(min=0)[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, output, create_graph=True)
        means.append(layer.to_nchw(gradient, size).float().mean((2, 3)))
    alpha = torch.stack(means, 1)
    return alpha if targets.ndim > 1 else alpha[:, 0]
