"""Batch normalisation with the statistics of the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import BackwardCFunction
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
    mean, variance, count = moments(each, values.detach())
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean.to(running_mean), momentum)
        running_var.lerp_((variance * (count / (count - 1))).to(running_var), momentum)
    known = _Known(each, mean, variance, count, eps)
    normalised: Tensor = cast(Any, _Normalise).apply(values, weight, bias, known)
    return normalised


@dataclass(frozen=True)
class _Known:
    """Statistics of the whole batch, without a graph."""

    each: Part
    mean: Float[Tensor, "c"]
    variance: Float[Tensor, "c"]
    count: Float[Tensor, ""]
    eps: float


class _Normalise(torch.autograd.Function):
    """Normalise the own rows with the statistics of all, by the kernels of torch.

    ``dx_i = w / s * (g_i - mean_j g_j - x^_i mean_j (g_j x^_j))`` with means over the whole batch.
    """

    @staticmethod
    def forward(
        ctx: BackwardCFunction,
        values: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        known: _Known,
    ) -> Tensor:
        context = cast(Any, ctx)  # torch's types know no missing tensors
        context.known = known
        context.save_for_backward(values, weight, bias)
        return F.batch_norm(
            values, known.mean, known.variance, weight, bias, training=False, eps=known.eps
        )

    @staticmethod
    def backward(ctx: BackwardCFunction, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        context = cast(Any, ctx)
        known: _Known = context.known
        values, weight, bias = context.saved_tensors
        if torch.is_grad_enabled():  # a graph of this gradient is wanted
            return (*_differentiable(known, gradients[0], values, weight, bias), None)
        own, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0],
            values,
            weight,
            known.mean,
            known.variance,
            None,
            None,
            False,
            known.eps,
            [True, True, True],
        )
        sums = known.each.total(torch.cat([by_weight, by_bias])[None])[0] / known.count
        through_spread, through_mean = sums.chunk(2)
        inverse = (known.variance + known.eps).rsqrt()
        scale = inverse if weight is None else inverse * weight
        slope = -scale * inverse * through_spread
        shift = -scale * through_mean - slope * known.mean
        shape = (1, -1, *[1] * (values.ndim - 2))
        own = torch.addcmul(own, values, slope.to(own).view(shape)).add_(shift.to(own).view(shape))
        return own, None if weight is None else by_weight, None if bias is None else by_bias, None


def _differentiable(
    known: _Known, gradient: Tensor, values: Tensor, weight: Tensor | None, bias: Tensor | None
) -> list[Tensor | None]:
    """Return the gradients of `_Normalise` with a graph."""
    inputs = [values, weight, bias]
    with torch.enable_grad():
        mean, variance, _ = moments(known.each, values)
        shape = (1, -1, *[1] * (values.ndim - 2))
        scale = (variance + known.eps).rsqrt()
        scale = scale if weight is None else scale * weight
        normalised = (values - mean.view(shape)) * scale.view(shape)
        normalised = normalised if bias is None else normalised + bias.view(shape)
        wanted = [one for one in inputs if one is not None and one.requires_grad]
        found = iter(
            torch.autograd.grad(normalised.to(gradient), wanted, gradient, create_graph=True)
        )
    return [next(found) if one is not None and one.requires_grad else None for one in inputs]


def moments(
    each: Part, values: Float[Tensor, "n c *s"]
) -> tuple[Float[Tensor, "c"], Float[Tensor, "c"], Float[Tensor, ""]]:
    """Return mean, variance and number of the values of each channel, over all ranks.

    From the mean and the variance of each rank (Chan et al. 1979), which loses no digits where the
    mean is large.
    """
    channels = values.shape[1]
    mean, variance = _own_moments(values)
    number = mean.new_full((1,), values.numel() / channels)
    table = each.whole(torch.cat([mean, variance, number])[None])
    means, variances, numbers = torch.split(table, [channels, channels, 1], 1)
    count = numbers.sum()
    shares = numbers / count
    overall = (shares * means).sum(0)
    spread = (shares * (variances + (means - overall).square())).sum(0)
    return overall, spread, count


def _own_moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel, by the kernel of batch normalisation if it can."""
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    if values.device.type in ("cpu", "cuda") and not values.requires_grad:
        mean, variance = torch.batch_norm_update_stats(values, None, None, 0.0)
        return mean, variance
    dims = [0, *range(2, values.ndim)]
    variance, mean = torch.var_mean(values, dims, correction=0)
    return mean, variance
