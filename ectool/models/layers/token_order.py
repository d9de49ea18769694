"""Check by gradients that the tokens of a network follow the image row by row."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ectool.models.layers.probe import Probe

_CHECKED = 12
_MIN_CORRELATION = 0.9


def tokens_follow_image(probe: Probe, count: int, grid: tuple[int, int]) -> bool:
    """Return whether tokens form a grid, row by row, after tokens without a part of the image.

    This is checked at the first tensor with so many tokens, usually before attention mixes them.
    There the gradient of a grid token with respect to the image is on its patch, and that of a
    class token, register or padding is zero. So the gradients of the last ``rows * columns`` tokens
    must have centres that follow the rows, and those of all tokens before them must be zero.

    Args:
        probe: A recorded pass of the network.
        count: Number of tokens.
        grid: (rows, columns) of the grid.

    Returns:
        True if they do.

    Cost: one backward pass from this tensor to the image for up to 12 tokens of the grid, and for
    each of the other tokens.
    """
    found = [tokens for tokens in probe.tokens if tokens.shape[:2] == (1, count)]
    if not found or not found[0].requires_grad:
        return False
    first, rows, columns = found[0], *grid
    before = count - rows * columns
    if any(_energy(probe, first, token).any() for token in range(before)):
        return False
    places = torch.linspace(0, rows * columns - 1, min(_CHECKED, rows * columns)).round().long()
    centres = [_centre(_energy(probe, first, before + int(place))) for place in places]
    if any(centre is None for centre in centres):
        return False
    found_at = torch.tensor([centre for centre in centres if centre is not None]).double()
    expected = torch.stack([places // columns, places % columns], 1).double()
    return all(_correlate(found_at[:, axis], expected[:, axis]) for axis in (0, 1))


def _energy(probe: Probe, tokens: Tensor, token: int) -> Float[Tensor, "h w"]:
    """Return the squared gradient of a token with respect to each pixel."""
    generator = torch.Generator().manual_seed(token)
    weights = torch.zeros_like(tokens)
    weights[0, token] = torch.randn(tokens.shape[2], generator=generator).to(tokens)
    (gradient,) = torch.autograd.grad(
        tokens,
        probe.image,
        weights,
        retain_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )
    return gradient[0].float().square().sum(0)


def _centre(energy: Float[Tensor, "h w"]) -> tuple[float, float] | None:
    total = energy.sum()
    if not total > 0:
        return None
    across, down = energy.sum(0) / total, energy.sum(1) / total
    places = [torch.arange(len(share)).to(share) for share in (down, across)]
    return float((down * places[0]).sum()), float((across * places[1]).sum())


def _correlate(found: Tensor, expected: Tensor) -> bool:
    """Return whether positions grow with the expected ones; true for one row or column."""
    if expected.std() == 0:
        return True
    both = torch.stack([found, expected])
    return bool(torch.corrcoef(both)[0, 1] >= _MIN_CORRELATION)
