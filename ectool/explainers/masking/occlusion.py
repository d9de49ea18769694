"""Occlusion: the drop of the logit when a window hides a pixel."""

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

# Default window: an eighth of the image's shorter side; default stride: half of the window.
_WINDOWS_A_SIDE = 8
_STEPS_A_WINDOW = 2


class Occlusion:
    """Occlusion (Zeiler & Fergus 2014, arXiv 1311.2901): the positive part of :func:`occlude`.

    Args:
        model: The classifier; each call restores its modes, gradients and hooks.
        window: Side of the square window in pixels. Default: an eighth of the shorter side.
        stride: Stride of the window in pixels, at most its side. Default: half of its side.
    """

    def __init__(
        self, model: Classifier, *, window: int | None = None, stride: int | None = None
    ) -> None:
        self.model = model
        self.window = window
        self.stride = stride

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; the arguments are those of :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps in logits, at the resolution of the images; and the logits.

        Raises:
            InputError: The window is larger than the images, or the stride larger than the window.

        Cost: one forward pass, and one per position of the window, for any k: 226 in total for the
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
    """Return the mean drop of the target logit over the windows that hide a pixel.

    ``drop_ij = mean_{windows w over (i, j)} f_y(x) - f_y(x without w)``, with the model's mean
    colour inside w. Equal, in each of the three channels, to captum's ``Occlusion`` with
    ``sliding_window_shapes=(3, window, window)``: the last window of a row or column may cross
    the border, so that every pixel is covered.

    Args:
        model: The classifier; its state is restored.
        images: RGB in [0, 1].
        classes: One or k targets per image; the drops of -1 are zero.
        logits: Logits of the unmasked images.
        window: Side of the window in pixels.
        stride: Stride of the window in pixels.

    Returns:
        Signed float32 drops.

    Raises:
        InputError: The window is larger than the images, or the stride larger than the window.

    Cost: one forward pass per position of the window.
    """
    _check(window, stride, min(images.shape[2:]))
    rows, columns = (_extents(side, window, stride).to(images.device) for side in images.shape[2:])
    targets = classes.view(len(classes), -1)

    def draw(_image: Tensor, position: Tensor) -> Tensor:
        down, right = rows[position // len(columns)], columns[position % len(columns)]
        return 1 - down[:, :, None] * right[:, None, :]

    explained = (targets >= 0).any(1).nonzero()[:, 0]
    positions = torch.arange(len(rows) * len(columns), device=images.device)
    pairs = torch.cartesian_prod(explained, positions)
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
    """Return, for every pixel, the mean drop over the windows that cover it."""
    total = torch.einsum("nabk,ah,bw->nkhw", drops, rows, columns)
    return total / (rows.sum(0)[:, None] * columns.sum(0))


def _extents(side: int, window: int, stride: int) -> Float[Tensor, "positions side"]:
    """Return the extent of the window along one axis for each position: 1 inside, 0 outside."""
    starts = torch.arange(math.ceil((side - window) / stride) + 1)[:, None] * stride
    pixels = torch.arange(side)
    return ((pixels >= starts) & (pixels < starts + window)).float()


def _check(window: int, stride: int, side: int) -> None:
    if not 1 <= stride <= window <= side:
        raise InputError(
            "occlusion window",
            expected=f"1 <= stride <= window <= {side}, the shorter side of the images",
            got=f"window {window} and stride {stride}",
            fix="change --window or --stride",
        )
