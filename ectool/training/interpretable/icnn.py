"""Interpretable CNN: every filter represents one part of the objects of one class."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from ectool.models.layers.template_masks import distance_templates, peaks_of
from ectool.models.objective import Labels
from ectool.training.batch import Position
from ectool.training.interpretable.base import AllMaps, FilterLoss, FilterSetup, Maps

TAU_AREA = 0.5
"""``tau * n^2``: the height of a template is 0.5 divided by the number of cells."""
MOMENTUM = 0.05
"""Share of a batch in the running means of ``Z_T``."""
UNKNOWN = -1
"""Class of a filter before the first assignment."""


class ICNN(FilterLoss):
    """Minimize ``-MI(X; T)`` of the maps X of each filter and templates T, mean over the filters.

    Zhang, Wu, Zhu 2018, Interpretable Convolutional Neural Networks (arXiv 1710.00935). For maps x
    of n x n cells after ReLU::

        T_mu = tau * max(1 - beta * |[i, j] - mu|_1 / n, -1), for each cell mu;  T_- = -tau
        tau = 0.5 / n^2,  beta = 4
        p(T_mu) = alpha / n^2,  p(T_-) = 1 - alpha,  alpha = n^2 / (1 + n^2)
        p(x | T) = exp(sum_ij x_ij T_ij) / Z_T,  Z_T = sum_x exp(sum_ij x_ij T_ij)
        MI = sum_T p(T) sum_x p(x | T) log(p(x | T) / p(x)),  p(x) = sum_T p(T) p(x | T)

    As in the paper, the gradient takes Z_T as constant, from a running mean, and has the term of
    one template for each image: T_mu at the maximum of the map where the image shows the class of
    the filter, else T_-. The class of a filter is the one with the largest mean activation over the
    training images of the last epoch; before the first assignment the loss is 0. Images whose label
    of that class is ignored do not count.

    Deviations: the loss of a filter is multiplied by 1 / p(T) = 1 + n^2, a constant, so that its
    strength does not depend on the size of the maps; sides of different lengths each divide their
    own distance, and n^2 is the number of cells; for the masks see `template_masks`.

    Cost: for each map a product with n^2 + 1 templates; no pass of the network.
    """

    has_masks = True
    category: Int64[Tensor, "c"]
    log_z: Float[Tensor, "c t"]
    sums: Float[Tensor, "c k"]
    counts: Float[Tensor, "k"]
    templates: Float[Tensor, "t cells"]

    def __init__(self, setup: FilterSetup) -> None:
        super().__init__()
        height, width = setup.size
        filters = setup.filters
        self.register_buffer("category", torch.full((filters,), UNKNOWN))
        self.register_buffer("log_z", torch.full((filters, height * width + 1), torch.nan))
        self.register_buffer("sums", torch.zeros(filters, setup.classes))
        self.register_buffer("counts", torch.zeros(setup.classes))
        self.register_buffer("templates", all_templates(height, width), persistent=False)

    def begin(self, maps: AllMaps, position: Position) -> None:  # noqa: ARG002 (one signature for all)
        """Assign each filter to the class that activated it most in the last epoch."""
        if not bool(self.counts.any()):
            return
        means = self.sums / self.counts.clamp(min=1)
        self.category.copy_(means.masked_fill(self.counts == 0, -torch.inf).argmax(1))
        self.sums.zero_()
        self.counts.zero_()

    def forward(self, maps: Maps, labels: Labels) -> Float[Tensor, ""]:
        """Return the loss, with the gradient of the paper; see the class."""
        maps = maps.relu()
        shows = shown_classes(labels, self.sums.shape[1])
        self._count(maps.detach(), shows)
        fits = maps.detach().flatten(2) @ self.templates.T
        self._update(fits)
        known = self.category != UNKNOWN
        own = shows[:, self.category.clamp(min=0)]
        chosen = chosen_templates(maps.detach(), own > 0)
        log_p, log_ratio = _log_terms(fits, self.log_z, chosen)
        counts = (known & (own >= 0)).to(maps.dtype)
        slope = log_p.exp() * log_ratio * counts
        own_fit = (maps.flatten(2) * self.templates[chosen]).sum(2)
        # The value is that of the loss, the gradient that of its last factor.
        return -(slope * (own_fit - own_fit.detach() + 1)).mean()

    @torch.no_grad()
    def _count(self, maps: Maps, shows: Float[Tensor, "n k"]) -> None:
        present = (shows > 0).to(maps.dtype)
        self.sums += maps.mean((2, 3)).T @ present
        self.counts += present.sum(0)

    @torch.no_grad()
    def _update(self, fits: Float[Tensor, "n c t"]) -> None:
        """Move the running mean of ``exp(fit)``, in logarithms, towards that of the batch."""
        batch = fits.logsumexp(0) - math.log(len(fits))
        moved = torch.logaddexp(self.log_z + math.log(1 - MOMENTUM), batch + math.log(MOMENTUM))
        self.log_z.copy_(moved.where(~self.log_z.isnan(), batch))


def all_templates(height: int, width: int) -> Float[Tensor, "t cells"]:
    """Return T_mu for every cell mu in order, and T_- last."""
    cells = torch.cartesian_prod(torch.arange(height), torch.arange(width)).float()
    tau = TAU_AREA / (height * width)
    positive = distance_templates(cells, height, width).flatten(1)
    return tau * torch.cat([positive, -torch.ones(1, height * width)])


def shown_classes(labels: Labels, classes: int) -> Float[Tensor, "n k"]:
    """Return 1 for the classes that each image shows, 0 for others, -1 for ignored labels."""
    if labels.ndim == 1:
        return torch.nn.functional.one_hot(labels, classes).float()
    return labels.float()


def chosen_templates(maps: Maps, shows: Bool[Tensor, "n c"]) -> Int64[Tensor, "n c"]:
    """Return the index of T_mu at the maximum where the class is shown, else of T_-."""
    height, width = maps.shape[2:]
    peaks = peaks_of(maps)
    cells = (peaks[..., 0] * width + peaks[..., 1]).long()
    return cells.where(shows, torch.full_like(cells, height * width))


def _log_terms(
    fits: Float[Tensor, "n c t"], log_z: Float[Tensor, "c t"], chosen: Int64[Tensor, "n c"]
) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c"]]:
    """Return ``log(N p(x | T))`` of the chosen template, and ``log(p(x | T) / p(x))``."""
    log_p = fits - log_z
    own = log_p.gather(2, chosen[:, :, None])[:, :, 0]
    log_mean = log_p.logsumexp(2) - math.log(fits.shape[2])
    return own, own - log_mean
