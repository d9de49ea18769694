"""Heatmaps that can be differentiated by the pixels, for attacks on the explanation."""

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
    """Grad-CAM whose heatmaps and logits carry a graph back to the pixels.

    The same maps as ``GradCAM``: ``relu(sum_k alpha_k A_k)`` with
    ``alpha_k = mean_{i,j} d logits[y] / d A_k[i,j]``. Both factors are differentiated, alpha by
    a second derivative of the head. Behind a head of averages, linear maps and ReLU alpha is
    constant almost everywhere; there the activations alone carry the gradient. Smooth heads (tanh,
    GELU, layer norm, attention) add their own share. Where a map is zero by its relu, it has no
    gradient.

    Args:
        model: The classifier. Each call leaves its modes, gradients and hooks as found.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch.

        Args:
            images: RGB in [0, 1]; those that ask for gradients get them through the result.
            targets: The class to explain of each image, or k of them; -1 stands for none, and its
                heatmap is zero. Default: the predicted one.

        Returns:
            float32 heatmaps on the raw scale at the layer's resolution, and the logits, with a
            graph, also where the caller has switched gradients off.

        Cost: one forward pass, and a backward pass of the head for each column of targets that
        holds any; differentiating the result costs a backward pass through all of that.
        """
        recorded: list[Tensor] = []

        def record(_module: nn.Module, _arguments: tuple[object, ...], output: object) -> object:
            if not isinstance(output, Tensor):
                return output
            # Frozen parameters ask for no gradient, and neither may the images.
            recorded.append(output if output.requires_grad else output.detach().requires_grad_())
            # The head works on a copy, since it may overwrite its input.
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
            # Nothing in place: the graph needs what each step saw.
            heatmaps = torch.einsum("n...c,nchw->n...hw", alpha, activations).relu()
            return Explanation(heatmaps * (classes[..., None, None] >= 0), logits)


def _alpha(
    layer: TargetLayer,
    size: tuple[int, int],
    output: Float[Tensor, "n ..."],
    logits: Float[Tensor, "n classes"],
    targets: Int[Tensor, "n *k"],
) -> Float[Tensor, "n *k c"]:
    """Average the gradient over the positions, one column of targets after the other."""
    columns = targets if targets.ndim > 1 else targets[:, None]
    means = []
    for column in columns.unbind(1):
        # The sum of the batch: each image's logit depends on its own activations alone.
        chosen = logits.gather(1, column.clamp(min=0)[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, output, create_graph=True)
        means.append(layer.to_nchw(gradient, size).float().mean((2, 3)))
    alpha = torch.stack(means, 1)
    return alpha if targets.ndim > 1 else alpha[:, 0]
