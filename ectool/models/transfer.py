"""Copies between the host and an accelerator that neither of them waits for.

A GPU copies pinned memory of the host while the host goes on. On a CPU nothing is copied, and on
other accelerators the copies are the usual, blocking ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]
Column = Array | Tensor
Columns = Mapping[str, Column]
"""Arrays of an artifact by name; those that a model computed may still be on its device."""


def copies_ahead(device: torch.device) -> bool:
    """Return whether copies from and to pinned memory run beside the host."""
    return device.type == "cuda"


def pinned(values: Array, device: torch.device) -> Array:
    """Return values in memory that a device copies while the host goes on.

    Args:
        values: Numbers on the host.
        device: Where they will be copied to; values for a CPU are returned unchanged.

    Returns:
        The same values. PyTorch reuses the memory only after the copies that began before it was
        released; see :func:`to_device`.
    """
    if not copies_ahead(device):
        return values
    target = torch.empty(values.shape, dtype=_dtype(values), pin_memory=True).numpy()
    np.copyto(target, values)
    return target


def to_device(values: Array | Tensor, device: torch.device | str | None = None) -> Tensor:
    """Copy values to a device; the host does not wait for a GPU.

    Values on the host are pinned first unless they are. The allocator of pinned memory records the
    copy and does not hand out the block again before it has ended, so the values may be released at
    once. They must not be changed.

    Args:
        values: Numbers on the host, or a tensor on any device.
        device: Where to copy. Default: where they are.

    Returns:
        A tensor on the device; later work on the current stream sees the copied values.
    """
    place = None if device is None else torch.device(device)
    if place is None or not copies_ahead(place):
        return (values if isinstance(values, Tensor) else torch.tensor(values)).to(place)
    source = values if isinstance(values, Tensor) else _shared(values, place)
    if source.device.type == "cpu" and not source.is_pinned():
        source = source.pin_memory()
    return source.to(place, non_blocking=True)


class Fetch:
    """Arrays on their way to the host.

    The copies begin at once, after the work that computes them; :meth:`arrays` waits for them.

    Args:
        columns: Arrays and tensors by name.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = {name: _begin(values) for name, values in columns.items()}
        self._events = [
            torch.cuda.current_stream(device).record_event()
            for device in {v.device for v in columns.values() if isinstance(v, Tensor)}
            if copies_ahead(device)
        ]

    def arrays(self) -> dict[str, Array]:
        """Wait for the copies, and return the arrays."""
        for event in self._events:
            event.synchronize()
        return {
            name: values.numpy() if isinstance(values, Tensor) else values
            for name, values in self._columns.items()
        }


def _begin(values: Array | Tensor) -> Array | Tensor:
    """Begin to copy a tensor to the host."""
    if not isinstance(values, Tensor):
        return values
    source = values.detach().contiguous()
    if not copies_ahead(source.device):
        return source.cpu()
    target = torch.empty(source.shape, dtype=source.dtype, pin_memory=True)
    return target.copy_(source, non_blocking=True)


def _shared(values: Array, device: torch.device) -> Tensor:
    """Return a tensor of the same memory, or of pinned memory if it cannot be written."""
    return torch.from_numpy(values if values.flags.writeable else pinned(values, device))


def _dtype(values: Array) -> torch.dtype:
    return torch.from_numpy(np.empty(0, values.dtype)).dtype
