"""Imputation of removed pixels from their neighbours, for all images at once.

The equations of Rong et al. are a discrete Laplace equation: symmetric and positive definite, with
one system for each image and mask. They are solved by conjugate gradients, preconditioned by one
V-cycle of multigrid, so that the number of iterations (four to six) hardly grows with the holes.
The images are the channels of one tensor, channels last, the layout in which depthwise convolutions
are fast. The colour channels of an image share their holes and are the batch of this tensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

Planes = Float[Tensor, "ch n h w"]
Coarser = Float[Tensor, "ch n i j"]
Cells = Float[Tensor, "1 n h w"]

TOLERANCE = 1e-3
"""Estimated error at which the iteration ends, in the norm of the system's energy."""

_MAX_ITERATIONS = 100
# Twelve times the weights of the definition: integers, whose sums are exact in float32.
_NEIGHBOURS = ((1.0, 2.0, 1.0), (2.0, 0.0, 2.0), (1.0, 2.0, 1.0))
_BILINEAR = (0.25, 0.75, 0.75, 0.25)  # from one grid to the next finer one
_COARSEST = 4
# Conductance between the middle of a cell at the edge of a hole and that of the coarser cell around
# it: 8, half a cell, where the whole coarser cell is in the hole, more where the edge crosses it.
# Of 8, 12, 16, 20, 24 and 48 this needed the fewest iterations.
_TO_COARSER = 16.0
_CACHED = 2**20  # values of a tensor, so that an iteration's tensors fit in a processor's cache


def impute(
    images: Float[Tensor, "n ch h w"], kept: Bool[Tensor, "n h w"]
) -> Float[Tensor, "n ch h w"]:
    """Replace removed pixels by the weighted mean of their eight neighbours, removed or not.

    For every removed pixel u, ``sum_v w_uv (x_v - x_u) = 0`` over its neighbours v in the image,
    w 1/6 horizontally and vertically, 1/12 diagonally: the linear imputation of Rong et al. 2022
    (ROAD, arXiv 2202.00449), section 4.2, before noise is added.

    Args:
        images: Images.
        kept: True where a pixel stays; at least one in each image.

    Returns:
        Images; kept pixels are bit-identical, removed ones within 1e-3 of the exact solution
        (for values in [0, 1]).

    Cost: no forward pass; five to seven V-cycles. Memory: a few times that of the images on a
    processor, up to twenty times on an accelerator.
    """
    blocks, together = 1, images.shape[1]  # accelerators are fastest with all at a time
    if images.device.type == "cpu":
        blocks, together = max(1, round(kept.numel() / _CACHED)), 1
    pairs = zip(images.chunk(blocks), kept.chunk(blocks), strict=True)
    filled = torch.cat([_fill(*pair, together) for pair in pairs])
    return torch.where(kept[:, None], images, filled)


def _fill(
    images: Float[Tensor, "n ch h w"], kept: Bool[Tensor, "n h w"], together: int
) -> Float[Tensor, "n ch h w"]:
    """Return images with solved unknown pixels, ``together`` channels at a time."""
    known = kept[None].to(images.dtype, memory_format=torch.channels_last)
    levels = _levels(known)
    channels = torch.split(images.transpose(0, 1), together)
    return torch.cat([_solve(levels, known, planes) for planes in channels]).transpose(0, 1)


def _solve(levels: list[_Level], known: Cells, planes: Planes) -> Planes:
    values = planes.contiguous(memory_format=torch.channels_last)
    mean = _total(values * known) / _total(known)
    # Relative to the mean, so that removed pixels start at 0, where the first residual is exact.
    right = _sum_neighbours((values - mean).mul_(known))
    return _conjugate_gradients(levels, right).add_(mean)


@dataclass(frozen=True)
class _Level:
    """The equations on one grid: ``diagonal * x - neighbours = right`` for the unknown cells.

    Attributes:
        diagonal: Factor of a cell's own value.
        inverse: 1 / diagonal for unknown pixels, or cells that contain some; elsewhere 0, like x.
        share: Weight with which each unknown cell interpolates its coarser cells. Constants stay
            unchanged, also next to known cells and at the image's edge; elsewhere 0.
    """

    diagonal: Cells
    inverse: Cells
    share: Cells


def _levels(known: Cells) -> list[_Level]:
    """Return the equations on every grid, the finest first.

    The coupling of an unknown pixel to known neighbours becomes a weight on the diagonal of coarser
    grids. It is summed, as in the Galerkin product of the equations. From the second grid on it is
    combined in series with the distance by which the middle of a coarser cell is farther from the
    hole's edge. Otherwise the edge would move inwards from grid to grid, and a large hole would be
    stiffer on coarser grids: 1.5 times as many iterations at 224 pixels.
    """
    removed = 1 - known
    ties = _sum_neighbours(known).mul_(removed)
    diagonal = _sum_neighbours(torch.ones_like(removed))
    levels = []
    while min(removed.shape[2:]) >= _COARSEST:
        coarser = F.max_pool2d(removed, 2)
        share = _divide(removed, _prolong(coarser, removed))
        levels.append(_Level(diagonal, _divide(removed, diagonal), share))
        ties, removed = _restrict(ties * share), coarser
        diagonal = _sum_neighbours(removed).add_(ties)
        ties = _TO_COARSER * ties / (_TO_COARSER + ties)
    return [*levels, _Level(diagonal, _divide(removed, diagonal), removed)]


def _conjugate_gradients(levels: list[_Level], residual: Planes) -> Planes:
    """Solve the equations of the finest level for each plane; overwrites the right side.

    The residual of known pixels is undefined and is never read.
    """
    x = torch.zeros_like(residual)
    correction = _v_cycle(levels, residual)
    direction, energy = correction.clone(), _total(residual * correction)
    for _ in range(_MAX_ITERATIONS):
        # About the squared error in the energy norm, which bounds that of each pixel.
        if not bool((energy > TOLERANCE**2).any()):
            break
        image = (levels[0].diagonal * direction).sub_(_sum_neighbours(direction))
        length = _divide(energy, _total(direction * image))
        x.addcmul_(length, direction)
        residual.addcmul_(-length, image)
        correction = _v_cycle(levels, residual)
        previous, energy = energy, _total(residual * correction)
        direction.mul_(_divide(energy, previous)).add_(correction)
    return x


def _v_cycle(levels: list[_Level], right: Planes) -> Planes:
    """Return an approximate solution: relax from 0, correct from the coarser grid, relax.

    Jacobi relaxation without damping divides errors that no coarser grid represents by at least
    three. Starting from 0, it leaves the sum of the neighbours as residual.
    """
    level, coarser = levels[0], levels[1:]
    x = level.inverse * right
    if not coarser:
        return x
    residual = _sum_neighbours(x).mul_(level.share)
    x.addcmul_(level.share, _prolong(_v_cycle(coarser, _restrict(residual)), right))
    return _sum_neighbours(x).add_(right).mul_(level.inverse)


def _sum_neighbours(x: Planes) -> Planes:
    kernel = x.new_tensor(_NEIGHBOURS).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, padding=1, groups=x.shape[1])


def _restrict(x: Planes) -> Coarser:
    """Sum onto the next coarser grid: the transpose of bilinear interpolation."""
    return F.conv2d(x, _bilinear(x), stride=2, padding=1, groups=x.shape[1])


def _prolong(x: Coarser, like: Planes) -> Planes:
    """Interpolate bilinearly onto the next finer grid."""
    odd = (like.shape[2] - 2 * x.shape[2], like.shape[3] - 2 * x.shape[3])
    return F.conv_transpose2d(
        x, _bilinear(x), stride=2, padding=1, output_padding=odd, groups=x.shape[1]
    )


def _bilinear(x: Coarser) -> Float[Tensor, "n 1 4 4"]:
    line = x.new_tensor(_BILINEAR)
    return torch.outer(line, line).expand(x.shape[1], 1, 4, 4)


def _total(x: Planes) -> Float[Tensor, "ch n 1 1"]:
    return x.sum((2, 3), keepdim=True)


def _divide(
    numerator: Float[Tensor, "ch n #h #w"], denominator: Float[Tensor, "ch n #h #w"]
) -> Float[Tensor, "ch n #h #w"]:
    """Divide; return 0 where the denominator is 0, where nothing remains to be solved."""
    return torch.where(denominator > 0, numerator / denominator, 0)
