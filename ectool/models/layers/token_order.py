"""Verify on a network itself that its tokens follow the image as their layout says."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ectool.models.layers.probe import Probe

_CHECKED = 12
_LEAST_CORRELATION = 0.9


def tokens_follow_image(probe: Probe, count: int, grid: tuple[int, int]) -> bool:
    """Tell whether tokens lie on a grid row by row, behind others that see no image.

    It is asked where so many tokens first appear, mostly before attention mixes them: the gradient
    of a grid's token with respect to the image lies on its patch, that of a class token, of a
    register or of padding is zero. So the last ``rows * columns`` tokens have to have gradients
    whose centres run along the rows, and all tokens before them none.

    Args:
        probe: A recorded pass of the network.
        count: Number of tokens.
        grid: (rows, columns) of the grid.

    Returns:
        Whether they do.

    Cost: the backward pass in front of the first such output, for up to 12 tokens of the grid and
    each of the others.
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
    seen = torch.tensor([centre for centre in centres if centre is not None]).double()
    meant = torch.stack([places // columns, places % columns], 1).double()
    return all(_runs_along(seen[:, axis], meant[:, axis]) for axis in (0, 1))


def _energy(probe: Probe, tokens: Tensor, token: int) -> Float[Tensor, "h w"]:
    """Return how strongly each pixel moves a token."""
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


def _runs_along(seen: Tensor, meant: Tensor) -> bool:
    """Tell whether positions grow with those they should have; one row or column always does."""
    if meant.std() == 0:
        return True
    both = torch.stack([seen, meant])
    return bool(torch.corrcoef(both)[0, 1] >= _LEAST_CORRELATION)
