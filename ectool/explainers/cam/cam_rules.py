"""Weighting rules of the gradient-based class-activation maps.

A rule maps the activations A of the target layer, and the gradient G of the target logit with
respect to A, to weights. For a pooled linear head G is equal at all positions: (n, c, 1, 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ectool.explainers.cam.reductions import first_component

Activations = Float[Tensor, "n c h w"]
Gradients = Float[Tensor, "#n #c #h #w"]
Weights = Float[Tensor, "n c #h #w"]
Map = Float[Tensor, "n h w"]

_PEER_EPSILON = 1e-6
"""Added to the denominator of Grad-CAM++ in pytorch-grad-cam; squared gradients may be smaller."""


def mean_gradient(activations: Activations, gradients: Gradients) -> Weights:  # noqa: ARG001 (rule)
    """Weight a channel by its mean gradient: Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391).

    ``w_c = mean_ij G_cij``.
    """
    return gradients.mean((2, 3), keepdim=True)


def plus_plus(activations: Activations, gradients: Gradients) -> Weights:
    """Weight a channel as in Grad-CAM++ (Chattopadhay et al. 2018, arXiv 1710.11063, eq. 19).

    ``w_c = sum_ij alpha_cij relu(G_cij)``, ``alpha = G^2 / (2 G^2 + G^3 sum_ab A_cab)``, computed
    as ``1 / (2 + G sum_ab A_cab)``, which avoids underflow. Deviation: the published weights have
    another factor exp(logit), one number per image.
    """
    denominator = 2 + gradients * activations.sum((2, 3), keepdim=True)
    alpha = torch.where(denominator == 0, 0, 1 / denominator)
    return (alpha * gradients.relu()).expand_as(activations).sum((2, 3), keepdim=True)


def peer_plus_plus(activations: Activations, gradients: Gradients) -> Weights:
    """Weight a channel as Grad-CAM++ in pytorch-grad-cam: alpha has 1e-6 in its denominator.

    If squared gradients are smaller, as for an average over many positions, alpha is nearly
    proportional to ``G^2``.
    """
    square, total = gradients**2, activations.sum((2, 3), keepdim=True)
    alpha = square / (2 * square + total * gradients**3 + _PEER_EPSILON)
    return (alpha * gradients.relu()).expand_as(activations).sum((2, 3), keepdim=True)


def by_activation(activations: Activations, gradients: Gradients) -> Weights:
    """Weight a channel by its gradient where it is active: XGrad-CAM (Fu et al. 2020, 2008.02312).

    ``w_c = sum_ij G_cij A_cij / sum_ij A_cij``; 0 for a channel that sums to 0.
    """
    total = activations.sum((2, 3), keepdim=True)
    return torch.where(total == 0, 0, (gradients * activations).sum((2, 3), keepdim=True) / total)


def gradient(activations: Activations, gradients: Gradients) -> Weights:  # noqa: ARG001 (rule)
    """Weight every position by its gradient: HiResCAM (Draelos & Carin 2020, arXiv 2011.08891).

    ``w_cij = G_cij``.
    """
    return gradients


def positive_gradient(activations: Activations, gradients: Gradients) -> Weights:  # noqa: ARG001
    """Weight every position by its positive gradient: LayerCAM (Jiang et al. 2021).

    ``w_cij = relu(G_cij)``, doi 10.1109/TIP.2021.3089943.
    """
    return gradients.relu()


def agreeing_gradient(activations: Activations, gradients: Gradients) -> Weights:
    """Weight a position by its gradient if both have the same sign: GradCAMElementWise.

    ``w_cij = G_cij [G_cij A_cij > 0]``, so that ``sum_c w_c A_c = sum_c relu(G_c A_c)``, as the
    method of that name in pytorch-grad-cam.
    """
    return torch.where(gradients * activations > 0, gradients, 0)


def uniform(activations: Activations, gradients: Gradients) -> Gradients:  # noqa: ARG001 (rule)
    """Use equal weights: Eigen-CAM depends on the activations only."""
    return torch.ones_like(gradients)


def channel_sum(activations: Activations, weights: Float[Tensor, "..."]) -> Map:
    """Return ``sum_c w_c A_c``."""
    if weights.shape[2:] == (1, 1):  # one number per channel: a matrix product
        return torch.einsum("nc,nchw->nhw", weights[:, :, 0, 0], activations)
    return (weights * activations).sum(1)


def principal(activations: Activations, weights: Float[Tensor, "..."]) -> Map:
    """Return the first principal component of ``w_c A_c`` (Muhammad & Yeasin 2020, 2008.00299).

    Deviation: centred over the positions, as in pytorch-grad-cam; the sign is fixed.
    """
    return first_component(weights * activations)


@dataclass(frozen=True)
class CamRule:
    """One method of the family: ``heatmap = relu(reduce(A, weigh(A, G)))``.

    Attributes:
        weigh: Returns the weight of each channel, or of each channel at each position.
        reduce: Reduces the weighted channels to one map.
        uses_gradients: Whether the map depends on gradients, and so on the class.
    """

    weigh: Callable[[Tensor, Tensor], Tensor]
    reduce: Callable[[Tensor, Tensor], Tensor] = channel_sum
    uses_gradients: bool = True


CAM_RULES: dict[str, CamRule] = {
    "gradcam": CamRule(mean_gradient),
    "gradcam++": CamRule(plus_plus),
    "xgradcam": CamRule(by_activation),
    "hirescam": CamRule(gradient),
    "layercam": CamRule(positive_gradient),
    "gradcam-elementwise": CamRule(agreeing_gradient),
    "eigencam": CamRule(uniform, principal, uses_gradients=False),
    "eigengradcam": CamRule(gradient, principal),
}
PEER_RULES: dict[str, CamRule] = {**CAM_RULES, "gradcam++": CamRule(peer_plus_plus)}
"""The rules of pytorch-grad-cam, which differ from the publication for Grad-CAM++."""
