"""Record the attention matrices of a forward pass, for any implementation of attention."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from types import FunctionType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_SOFTMAX: Collection[object] = (F.softmax, torch.softmax, torch.special.softmax, Tensor.softmax)

# torch passes this function to a mode as a whole, not the functions it calls. The copy skips that
# dispatch, so that an active mode intercepts the attention inside.
_MULTI_HEAD_ATTENTION = FunctionType(
    F.multi_head_attention_forward.__code__,
    {**vars(F), "has_torch_function": lambda _tensors: False},
    argdefs=F.multi_head_attention_forward.__defaults__,
)


class AttentionRecorder(TorchFunctionMode):
    """Record the attention probabilities of everything that runs inside the ``with`` block.

    Fused attention (``F.scaled_dot_product_attention``, also inside ``nn.MultiheadAttention`` and
    ``nn.TransformerEncoderLayer``, whose fast paths are disabled) is computed from its definition:
    ``probabilities = softmax(scale query key^T + mask)``, ``output = probabilities value``. In
    attention without these functions, every softmax over the last of three or more axes counts.

    The network is not changed: the recorder intercepts functions, not modules, in the current
    thread while the block runs. With autograd enabled, the matrices are part of the graph, which
    begins at the first matrix if no tensor before it requires a gradient.

    Args:
        keep: Maps each matrix (n, heads, t, t) to the tensor to keep. Default: the matrix itself,
            which can be differentiated with respect to.

    Attributes:
        kept: One entry per attention, in the order of execution.
    """

    def __init__(self, keep: Callable[[Tensor], Tensor] = lambda matrix: matrix) -> None:
        super().__init__()
        self.kept: list[Tensor] = []
        self._keep = keep

    def __torch_function__(
        self,
        func: Callable[..., Any],
        _types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Call ``func``, or an equivalent that records its attention."""
        options = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._attend(*args, **options)
        if func is F.multi_head_attention_forward:
            return self._attend_with_heads(args, options)
        result = func(*args, **options)
        if func in _SOFTMAX and _is_over_last(result, options.get("dim", *args[1:2])):
            # A copy, because the network may use in-place operations, which a leaf does not allow.
            return self._record(result).clone()
        return result

    def _record(self, matrix: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            matrix.requires_grad_()
        self.kept.append(self._keep(matrix))
        self._latest = matrix
        return matrix

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        if enable_gqa:
            times = query.shape[-3] // key.shape[-3]
            key, value = key.repeat_interleave(times, -3), value.repeat_interleave(times, -3)
        scores = query * (query.shape[-1] ** -0.5 if scale is None else scale) @ key.mT
        if is_causal:
            attn_mask = scores.new_ones(scores.shape[-2:], dtype=torch.bool).tril()
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -torch.inf)
        elif attn_mask is not None:
            scores = scores + attn_mask
        return F.dropout(self._record(scores.softmax(-1)), dropout_p) @ value

    def _attend_with_heads(
        self, args: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[Tensor, Tensor | None]:
        with self:
            output, _ = _MULTI_HEAD_ATTENTION(*args, **{**options, "need_weights": False})
        if not options["need_weights"]:
            return output, None
        return output, self._latest.mean(1) if options["average_attn_weights"] else self._latest


def mean_over_heads(matrix: Float[Tensor, "n *heads t s"]) -> Float[Tensor, "n t s"]:
    """Return the mean over the heads in float32; the head axis may be missing."""
    return matrix.reshape(len(matrix), -1, *matrix.shape[-2:]).float().mean(1)


def _is_over_last(result: Tensor, axis: int | None) -> bool:
    return result.ndim >= 3 and axis in (-1, result.ndim - 1)
