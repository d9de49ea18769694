"""Batch normalisation with the statistics of the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ectool.training.ranks.part import Part


class WholeStatistics(TorchFunctionMode):
    """Give batch normalisation the statistics of the whole batch, in training mode.

    Ioffe and Szegedy 2015 (arXiv 1502.03167), as torch's `SyncBatchNorm`, which does not run on
    CPUs. It changes the function `batch_norm` of torch, not the layers, so that layers that add an
    activation to it need no change, and copies and files of the network are the usual ones.

    Args:
        each: One row for each rank.

    Cost: one sum over the ranks in the forward pass, and one in the backward pass.
    """

    def __init__(self, each: Part) -> None:
        super().__init__()
        self.each = each

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 (any function of torch)
        """Call a function of torch, or the batch normalisation of the whole batch."""
        if func is F.batch_norm:
            return batch_norm(self.each, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def batch_norm(
    each: Part,
    values: Float[Tensor, "n c *s"],
    running_mean: Float[Tensor, "c"] | None,
    running_var: Float[Tensor, "c"] | None,
    weight: Float[Tensor, "c"] | None = None,
    bias: Float[Tensor, "c"] | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Float[Tensor, "n c *s"]:
    """Normalise the own rows of a batch, as `torch.nn.functional.batch_norm` all rows.

    Args:
        each: One row for each rank.
        values: The own rows.
        running_mean: Running mean, which moves to that of the whole batch.
        running_var: Running variance, which moves to the unbiased one of the whole batch.
        weight: Factor of each channel.
        bias: Summand of each channel.
        training: Whether the statistics are those of the batch.
        momentum: Share of the batch in the running statistics.
        eps: Added to the variance.
    """
    if not training:
        return F.batch_norm(values, running_mean, running_var, weight, bias, False, momentum, eps)
    exact = values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
    mean, variance, count = moments(each, exact)
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean), momentum)
            running_var.lerp_((variance * (count / (count - 1))).to(running_var), momentum)
    shape = (1, -1, *[1] * (values.ndim - 2))
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    normalised = (exact - mean.view(shape)) * scale.view(shape)
    shifted = normalised if bias is None else normalised + bias.view(shape)
    return shifted.to(values.dtype)


def moments(
    each: Part, values: Float[Tensor, "n c *s"]
) -> tuple[Float[Tensor, "c"], Float[Tensor, "c"], Float[Tensor, ""]]:
    """Return mean, variance and number of the values of each channel, over all ranks.

    From the mean and the variance of each rank (Chan et al. 1979), which loses no digits where the
    mean is large.
    """
    channels = values.shape[1]
    dims = [0, *range(2, values.ndim)]
    variance, mean = torch.var_mean(values, dims, correction=0)
    number = mean.new_full((1,), values.numel() / channels)
    table = each.whole(torch.cat([mean, variance, number])[None])
    means, variances, numbers = torch.split(table, [channels, channels, 1], 1)
    count = numbers.sum()
    shares = numbers / count
    overall = (shares * means).sum(0)
    spread = (shares * (variances + (means - overall).square())).sum(0)
    return overall, spread, count
