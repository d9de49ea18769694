"""Occlusion: a pixel counts for what the answer loses when a patch hides it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ectool.errors import InputError
from ectool.explainers.base import Explanation, Targets, choose_targets
from ectool.explainers.masked_passes import score_pairs
from ectool.models.classifier import Classifier
from ectool.models.modes import frozen, graph_free

# Side of the window, as a share of the image's shorter one, and its step as a share of the window.
_WINDOWS_A_SIDE = 8
_STEPS_A_WINDOW = 2


class Occlusion:
    """Occlusion (Zeiler & Fergus 2014, arXiv 1311.2901): the positive part of :func:`occlude`.

    Args:
        model: The classifier. Each call leaves its modes, gradients and hooks as found.
        window: Side of the square window in pixels. Default: an eighth of the shorter side.
        stride: Step of the window in pixels, at most its side. Default: half of its side.
    """

    def __init__(
        self, model: Classifier, *, window: int | None = None, stride: int | None = None
    ) -> None:
        self.model = model
        self.window = window
        self.stride = stride

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; what it takes is in :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps in logits, at the resolution of the images; and the logits.

        Raises:
            InputError: The window is larger than the images, or its step larger than the window.

        Cost: one forward pass, and one for each position of the window, whatever k is: 226 for the
        defaults on square images.
        """
        window = self.window or max(1, round(min(images.shape[2:]) / _WINDOWS_A_SIDE))
        stride = self.stride or max(1, window // _STEPS_A_WINDOW)
        with graph_free(), frozen(self.model):
            logits = self.model(images)
        classes = choose_targets(logits, targets)
        drops = occlude(self.model, images, classes, logits, window=window, stride=stride)
        return Explanation(drops.relu_(), logits)


def occlude(
    model: Classifier,
    images: Float[Tensor, "n ch h w"],
    classes: Int[Tensor, "n *k"],
    logits: Float[Tensor, "n c"],
    *,
    window: int,
    stride: int,
) -> Float[Tensor, "n *k h w"]:
    """Return what the target logit loses, on average, when a window over a pixel is hidden.

    ``drop_ij = mean_{windows w over (i, j)} f_y(x) - f_y(x without w)``, with the model's mean
    colour inside of w. Equal, for each of the three channels, to captum's ``Occlusion`` with
    ``sliding_window_shapes=(3, window, window)``: the last window of a row or column may reach
    over the border, so that every pixel is covered.

    Args:
        model: The classifier, left as found.
        images: RGB in [0, 1].
        classes: The targets, one for each image or k; the drops of -1 are zero.
        logits: What the model answered to the images.
        window: Side of the window in pixels.
        stride: Step of the window in pixels.

    Returns:
        Signed float32 drops.

    Raises:
        InputError: The window is larger than the images, or its step larger than the window.

    Cost: a forward pass for each position of the window.
    """
    _check(window, stride, min(images.shape[2:]))
    rows, columns = (_extents(side, window, stride).to(images.device) for side in images.shape[2:])
    targets = classes.view(len(classes), -1)

    def draw(_image: Tensor, position: Tensor) -> Tensor:
        down, right = rows[position // len(columns)], columns[position % len(columns)]
        return 1 - down[:, :, None] * right[:, None, :]

    asked = (targets >= 0).any(1).nonzero()[:, 0]
    positions = torch.arange(len(rows) * len(columns), device=images.device)
    pairs = torch.cartesian_prod(asked, positions)
    clean = logits.float().gather(1, targets.clamp(min=0))[pairs[:, 0]]
    drops = torch.zeros(len(images), len(positions), targets.shape[1], device=images.device)
    drops[pairs[:, 0], pairs[:, 1]] = clean - score_pairs(model, images, pairs, draw, targets)
    drops.masked_fill_(targets[:, None] < 0, 0)
    maps = _mean_over_windows(
        drops.view(-1, len(rows), len(columns), targets.shape[1]), rows, columns
    )
    return maps.view(*classes.shape, *images.shape[2:])


def _mean_over_windows(
    drops: Float[Tensor, "n rows columns k"],
    rows: Float[Tensor, "rows h"],
    columns: Float[Tensor, "columns w"],
) -> Float[Tensor, "n k h w"]:
    """Give every pixel the mean of the windows that lie over it."""
    total = torch.einsum("nabk,ah,bw->nkhw", drops, rows, columns)
    return total / (rows.sum(0)[:, None] * columns.sum(0))


def _extents(side: int, window: int, stride: int) -> Float[Tensor, "positions side"]:
    """Return 1 where a window lies along one axis, for each of its positions, and 0 elsewhere."""
    starts = torch.arange(math.ceil((side - window) / stride) + 1)[:, None] * stride
    pixels = torch.arange(side)
    return ((pixels >= starts) & (pixels < starts + window)).float()


def _check(window: int, stride: int, side: int) -> None:
    if not 1 <= stride <= window <= side:
        raise InputError(
            "occlusion window",
            expected=f"1 <= stride <= window <= {side}, the images' shorter side",
            got=f"window {window} and stride {stride}",
            fix="change --window or --stride",
        )
