"""Interpretable compositional CNN: groups of filters, each with one visual pattern."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor
from torch.nn import functional as F

from ectool.config.interpretable import EVERY, GROUPS
from ectool.errors import UsageError
from ectool.metrics.filters.groups import filter_similarity, spectral_groups
from ectool.models.objective import Labels
from ectool.training.batch import Position
from ectool.training.interpretable.base import AllMaps, FilterLoss, FilterSetup, Maps
from ectool.training.interpretable.icnn import shown_classes

MOMENTUM = 0.05
"""Share of a batch in the running mean of the maps."""
UNKNOWN = -1
"""Group of a filter before the first clustering."""
TINY = 1e-5
"""Added to variances, so that filters with constant maps have correlation 0."""


class ICCNN(FilterLoss):
    """Minimize ``-sum_k S_intra(k) / S_all(k)`` over groups of similar filters.

    Shen et al. 2021, Interpretable Compositional Convolutional Neural Networks (arXiv 2107.04474)::

        s_ij = rho_ij + 1
        rho_ij = E_I[(x_i - mu_i) . (x_j - mu_j)] / (sigma_i sigma_j),  mu_i = E_I[x_i]
        S_intra(k) = sum_{i, j in A_k} s_ij,  S_all(k) = sum_{i in A_k, j} s_ij

    x_i is the map of filter i as a vector of cells, so mu_i is a map, too. The groups A_k come from
    spectral clustering of s over the training images, in evaluation mode, again every few epochs.
    For several classes the loss has a second term of the same form, over the images of a batch:
    ``-sum_c S_intra(c) / S_all(c)`` with the cosine of the mean activations of the groups in place
    of s_ij, and the images of class c in place of A_k.

    As in the code of the authors, mu in a batch is a running mean. Differences from that code: rho
    is taken over the whole batch, as in the paper, not for each image; and the mean of (cells,
    filters) is transposed, where the code reshapes it to (filters, cells). Deviation: in
    multi-label data an image belongs to every class that it shows, in the second term.

    Cost: for each batch the products of all pairs of filters, and of all pairs of images; and one
    forward pass of all training images every few epochs.
    """

    groups: Int64[Tensor, "c"]
    mean: Float[Tensor, "c cells"]

    def __init__(self, setup: FilterSetup) -> None:
        super().__init__()
        self.count = int(setup.settings[GROUPS])
        self.every = int(setup.settings[EVERY])
        self.classes = setup.classes
        _check_count(self.count, setup.filters)
        cells = setup.size[0] * setup.size[1]
        self.register_buffer("groups", torch.full((setup.filters,), UNKNOWN))
        self.register_buffer("mean", torch.zeros(setup.filters, cells))

    def begin(self, maps: AllMaps, position: Position) -> None:
        """Form the groups again, in every `interpretable_every`-th epoch and where none exist."""
        if position.epoch % self.every and int(self.groups[0]) != UNKNOWN:
            return
        mean, covariance = moments(maps)
        seed = int(torch.randint(2**31, (1,), generator=position.generator))
        groups = spectral_groups(filter_similarity(covariance), self.count, seed)
        self.mean.copy_(mean)
        self.groups.copy_(torch.from_numpy(groups))

    def forward(self, maps: Maps, labels: Labels) -> Float[Tensor, ""]:
        """Return the loss of the groups plus that of the classes, and move the mean."""
        flat = maps.flatten(2)
        with torch.no_grad():
            self.mean.lerp_(flat.mean(0), MOMENTUM)
        member = F.one_hot(self.groups, self.count).to(maps.dtype)
        pairs = correlation(flat - self.mean) + 1
        return -shares(pairs, member).sum() - self._class_shares(flat, member, labels)

    def _class_shares(
        self, flat: Float[Tensor, "n c m"], member: Float[Tensor, "c k"], labels: Labels
    ) -> Float[Tensor, ""]:
        vectors = F.normalize(flat.mean(2) @ member, dim=1, eps=TINY)
        shown = (shown_classes(labels, self.classes) > 0).to(flat.dtype)
        return shares(vectors @ vectors.T, shown).sum()


def correlation(centred: Float[Tensor, "n c m"]) -> Float[Tensor, "c c"]:
    """Return rho of centred maps, over images and cells; see `ICCNN`."""
    rows = centred.transpose(0, 1).flatten(1)
    scale = (rows.square().mean(1, keepdim=True) + TINY**2).rsqrt()
    scaled = rows * scale
    return scaled @ scaled.T / rows.shape[1]


def shares(pairs: Float[Tensor, "c c"], member: Float[Tensor, "c k"]) -> Float[Tensor, "k"]:
    """Return the share of the similarities of each group that is inside it: S_intra / S_all.

    Args:
        pairs: Similarity of each pair, at least 0.
        member: 1 for the members of each group, 0 for others.

    Returns:
        One share for each group; 0 for a group without members.
    """
    rows = pairs @ member
    inside = (member * rows).sum(0)
    whole = member.T @ pairs.sum(1)
    return inside / whole.clamp(min=TINY)


def moments(maps: AllMaps) -> tuple[Float[Tensor, "c m"], Float64[np.ndarray, "c c"]]:
    """Return the mean map of each filter, and ``E_I[(x_i - mu_i) . (x_j - mu_j)]``.

    The sums are in float64 on the host, because not every accelerator has it.
    """
    total, products, count = None, None, 0
    for batch, _ in maps():
        flat = batch.flatten(2)
        rows = flat.transpose(0, 1).flatten(1)
        sums, pairs = flat.sum(0).double().cpu(), (rows @ rows.T).double().cpu()
        total = sums if total is None else total + sums
        products = pairs if products is None else products + pairs
        count += len(flat)
    if total is None or products is None:
        raise ValueError("no training images")
    mean = total / count
    return mean.float(), (products / count - mean @ mean.T).numpy()


def _check_count(count: int, filters: int) -> None:
    if count > filters:
        raise UsageError(
            "--interpretable-groups",
            expected=f"at most {filters}, the number of filters of the layer",
            got=str(count),
            fix="give fewer groups, or another --interpretable-layer",
        )
