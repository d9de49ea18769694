"""Intercept torch functions during a forward pass, without changing the network's modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

T = TypeVar("T")
StandIn = Callable[..., object]
"""Called instead of a function, with the function as the first argument."""

_PYTHON_ORDER = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum")
_NATIVE_ORDER = ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum")
_EPS = 1e-5  # default of F.batch_norm


class Interception(TorchFunctionMode):
    """Call a stand-in for some torch functions while autograd is enabled.

    Functions are identified by name, because torch.relu, F.relu, Tensor.relu and aten's relu (in
    exported programs) are different objects. Calls inside a stand-in are not intercepted.
    TorchScript does not call its functions through Python, so they cannot be intercepted.

    Args:
        stand_ins: Stand-ins by the name of the function; ``relu_`` and ``relu`` are different.
    """

    def __init__(self, stand_ins: Mapping[str, StandIn]) -> None:
        super().__init__()
        self._stand_ins = stand_ins

    def __torch_function__(
        self,
        func: Callable[..., object],
        _types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Call ``func`` or its stand-in."""
        name = getattr(func, "__name__", "").partition(".")[0]
        if name in self._stand_ins and torch.is_grad_enabled():
            return self._stand_ins[name](func, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


class Notes(Generic[T]):
    """Values attached to tensors, valid until a tensor is overwritten in place."""

    def __init__(self) -> None:
        # References keep the tensors alive, so that no other tensor gets the same id.
        self._noted: dict[int, tuple[Tensor, int, T]] = {}

    def __setitem__(self, tensor: Tensor, value: T) -> None:
        """Attach ``value`` to a tensor in its current version."""
        self._noted[id(tensor)] = tensor, tensor._version, value

    def get(self, tensor: Tensor) -> T | None:
        """Return the attached value if the tensor has not changed since, else None."""
        _, version, value = self._noted.get(id(tensor), (tensor, -1, None))
        return value if tensor._version == version else None


def is_in_place(func: Callable[..., object], inplace: bool = False) -> bool:
    """Return whether a call overwrites its first argument.

    Args:
        func: The function that is called.
        inplace: The argument ``inplace`` of the call, if it has one.
    """
    return inplace or getattr(func, "__name__", "").partition(".")[0].endswith("_")


def scale_and_shift(
    func: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Tensor, Tensor]:
    """Return a call of batch normalisation as ``scale * x + shift`` per channel.

    ``scale = weight / sqrt(running_var + eps)``, ``shift = bias - running_mean * scale``; without
    running statistics, ``scale = weight`` and ``shift = bias``.

    Args:
        func: ``F.batch_norm``, or ``torch.batch_norm``, whose arguments have another order.
        args: Positional arguments.
        kwargs: Keyword arguments.

    Returns:
        Scale and shift in float32.
    """
    order = _PYTHON_ORDER if func is F.batch_norm else _NATIVE_ORDER
    named = dict(zip((*order, "eps"), args, strict=False)) | dict(kwargs)
    channels, device = named["input"].shape[1], named["input"].device

    def vector(name: str, default: float) -> Tensor:
        value: Tensor | None = named.get(name)
        return torch.full((channels,), default, device=device) if value is None else value.float()

    scale, shift = vector("weight", 1.0), vector("bias", 0.0)
    if named.get("running_mean") is None:
        return scale, shift
    scale = scale / (vector("running_var", 1.0) + named.get("eps", _EPS)).sqrt()
    return scale, shift - vector("running_mean", 0.0) * scale
