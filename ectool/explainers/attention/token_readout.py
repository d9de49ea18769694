"""Find the tokens that the logits of a transformer depend on, and the grid of the tokens."""

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
    """The tokens that the logits depend on, and the positions of tokens in the image.

    Attributes:
        weights: Equal weights, with sum 1, for the tokens that the logits depend on after the last
            attention: the class token; also the distillation token of a DeiT; or all tokens of the
            grid if they are averaged. Zero for all others, such as registers.
        tokens: Layout of the tokens on a grid.
        image_size: (height, width) of the images in pixels.
    """

    weights: Float[Tensor, "1 t"]
    tokens: TargetLayer
    image_size: tuple[int, int]

    def to_map(self, row: Float[Tensor, "n 1 t"]) -> Float[Tensor, "n h w"]:
        """Arrange one value per token as a grid, without class tokens and registers."""
        return self.tokens.to_nchw(row.mT, self.image_size)[:, 0]


class Transformer:
    """A transformer classifier, with a cached readout for the last image size.

    Args:
        model: The classifier; its state is restored.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model
        self._readout: TokenReadout | None = None

    def readout(self, images: Float[Tensor, "n ch h w"]) -> TokenReadout:
        """Return the result of :func:`find_readout` for images of this size, cached."""
        size = images.shape[2], images.shape[3]
        if self._readout is None or self._readout.image_size != size:
            self._readout = find_readout(self.model, size)
        return self._readout


def find_readout(model: Classifier, image_size: tuple[int, int]) -> TokenReadout:
    """Find the tokens that the logits depend on.

    After the last attention, tokens no longer mix, so these are the tokens whose row in the last
    attention matrix has a gradient of the logits. This depends on the architecture only; it is
    tested on a random image, with random weights in place of parameters that are all zero.

    Args:
        model: The classifier; its state is restored.
        image_size: (height, width) of its images in pixels.

    Returns:
        The tokens and their grid.

    Raises:
        InputError: The network is not a transformer in which every attention spans all tokens, its
            tokens do not follow the image row by row, or it is a program whose functions cannot
            be intercepted.

    Cost: one forward pass of one image, and the backward pass after the last attention.
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
    """Return whether this is the matrix of one image, one or several heads, and `count` tokens."""
    return matrix.ndim in (3, 4) and len(matrix) == 1 and matrix.shape[-2:] == (count, count)


def _rows_read(probe: Probe, matrix: Tensor) -> Float[Tensor, "1 t"] | None:
    gradient = probe.gradient(matrix)
    if gradient is None or not gradient.any():
        return None
    has_gradient = mean_over_heads(gradient.abs()).amax(2) > 0
    return has_gradient.float()


def _unsuitable(model: Classifier, got: str) -> InputError:
    return InputError(
        f"attention of {model.architecture}",
        expected="a transformer in which every attention spans all tokens",
        got=got,
        fix="use a method for any network, such as --method gradcam",
    )
