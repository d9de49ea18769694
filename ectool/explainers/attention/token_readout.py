"""Find which of a transformer's tokens the logits are read from, and where tokens lie."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from ectool.errors import InputError
from ectool.explainers.attention.matrices import AttentionRecorder, mean_over_heads
from ectool.models.classifier import Classifier
from ectool.models.layers.probe import Probe, format_size, run_probe
from ectool.models.layers.target_layer import (
    TargetLayer,
    grid_layout,
    grid_of_tokens,
    no_target_layer,
)
from ectool.models.layers.token_order import tokens_follow_image


@dataclass(frozen=True)
class TokenReadout:
    """Where a transformer's logits are read, and where its tokens lie in the image.

    Attributes:
        weights: Alike for all tokens that the logits are read from behind the last attention, and
            of sum 1: the class token; a DeiT's distillation token with it; the grid's tokens where
            these are averaged. Zero for all others, such as registers.
        tokens: How the tokens lie on a grid.
        image_size: (height, width) of the images in pixels.
    """

    weights: Float[Tensor, "1 t"]
    tokens: TargetLayer
    image_size: tuple[int, int]

    def to_map(self, row: Float[Tensor, "n 1 t"]) -> Float[Tensor, "n h w"]:
        """Lay one value for each token out as a grid, without class tokens and the like."""
        return self.tokens.to_nchw(row.mT, self.image_size)[:, 0]


class Transformer:
    """A classifier whose attention has been looked at, once for each image size.

    Args:
        model: The classifier, left as found.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model
        self._readout: TokenReadout | None = None

    def readout(self, images: Float[Tensor, "n ch h w"]) -> TokenReadout:
        """Return what :func:`find_readout` finds for images of this size, and remember it."""
        size = images.shape[2], images.shape[3]
        if self._readout is None or self._readout.image_size != size:
            self._readout = find_readout(self.model, size)
        return self._readout


def find_readout(model: Classifier, image_size: tuple[int, int]) -> TokenReadout:
    """Find the tokens that the logits are read from.

    Behind the last attention tokens no longer mix, so these are the tokens whose row of the last
    attention matrix moves the logits. The question is one of structure: it is asked of a random
    image, with random weights in place of those that are all zero.

    Args:
        model: The classifier, left as found.
        image_size: (height, width) of its images in pixels.

    Returns:
        The tokens and their grid.

    Raises:
        InputError: The network is not a transformer whose every attention is one of all tokens to
            all tokens, its tokens do not follow the image row by row, or it is a program, inside
            of which nothing can be watched.

    Cost: one forward pass of one image, and the backward pass behind the last attention.
    """
    if model.spec.target_layer is None:
        raise no_target_layer(model.architecture)
    with AttentionRecorder() as recorder:
        probe = run_probe(model.network, image_size)
    matrices = recorder.kept
    if not matrices:
        raise _unsuitable(model, "no attention")
    count = matrices[-1].shape[-1]
    if not all(_spans(matrix, count) for matrix in matrices):
        shapes = dict.fromkeys(format_size(matrix.shape) for matrix in matrices)
        raise _unsuitable(model, f"attention of shape {' and '.join(shapes)} for one image")
    layout = grid_layout((1, count, 1), image_size)
    if layout is None:
        raise _unsuitable(model, f"{count} tokens for an image of {format_size(image_size)}")
    grid = grid_of_tokens(count, layout, image_size)
    if grid is None or not tokens_follow_image(probe, count, grid):
        raise _unsuitable(model, f"{count} tokens that do not follow the image row by row")
    read = _rows_read(probe, matrices[-1])
    if read is None:
        raise _unsuitable(model, "attention that does not reach the logits")
    return TokenReadout(read / read.sum(), TargetLayer("attention", layout), image_size)


def _spans(matrix: Tensor, count: int) -> bool:
    """Tell whether this is one image's matrix, of one or several heads, for so many tokens."""
    return matrix.ndim in (3, 4) and len(matrix) == 1 and matrix.shape[-2:] == (count, count)


def _rows_read(probe: Probe, matrix: Tensor) -> Float[Tensor, "1 t"] | None:
    gradient = probe.gradient(matrix)
    if gradient is None or not gradient.any():
        return None
    moves = mean_over_heads(gradient.abs()).amax(2) > 0
    return moves.float()


def _unsuitable(model: Classifier, got: str) -> InputError:
    return InputError(
        f"attention of {model.architecture}",
        expected="a transformer whose every attention spans all tokens",
        got=got,
        fix="use a method for any network, such as --method gradcam",
    )
