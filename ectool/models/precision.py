"""Floating-point types of networks: copies, blocks of computation, and what a type may gain."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from ectool.config.heatmaps import Precision
from ectool.errors import UsageError
from ectool.models.classifier import Classifier

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
PROCESSOR_FLAGS = Path("/proc/cpuinfo")
NATIVE = ("avx512_bf16", "amx_bf16", "bf16")
"""Names of the instructions for bfloat16: of x86 (the first two) and of ARM."""


def in_precision(model: Classifier, precision: Precision) -> Classifier:
    """Return a classifier whose network computes in a type; the normalisation stays in float32.

    Args:
        model: The classifier; unchanged.
        precision: `fp32` or `bf16`.

    Returns:
        The same classifier if its weights already have this type, else a copy.
    """
    dtype = DTYPES[precision]
    if all(parameter.dtype == dtype for parameter in model.network.parameters()):
        return model
    other = copy.deepcopy(model)
    other.network.to(dtype)
    return other


def has_bf16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 by instructions of its own.

    Devices without them accept bfloat16, too, and are slower with it than with float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type not in ("cpu", "mps"):
        return False
    return any(name in _instructions() for name in NATIVE)


def _instructions() -> set[str]:
    """Return the names of the processor's instructions for bfloat16, as torch or Linux knows."""
    known = getattr(torch.cpu, "get_capabilities", None)  # of later versions of torch
    if known is not None:
        return {name for name, value in known().items() if value}
    with suppress(OSError):  # only on Linux
        return set(PROCESSOR_FLAGS.read_text(encoding="utf-8").split())
    return set()


def multiply_adds(model: Classifier, size: tuple[int, int]) -> float:
    """Return the number of multiply-adds of a forward pass of one image.

    Args:
        model: The classifier.
        size: (height, width) of the image.

    Cost: one forward pass of one image.
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(model.mean.new_zeros(1, 3, *size))
    return float(counter.get_total_flops()) / 2


def mixed(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Let networks compute in a type inside a block, while their weights stay in float32.

    With `bf16`, convolutions and matrix products take bfloat16 and add in float32; so do those of
    attacks and heatmaps inside the block. Weights, their gradients and the optimizer are float32,
    and so are the logits of a classifier, and the losses that are computed from them. Cast weights
    are not kept from one pass to the next: a pass without gradients would leave a copy without
    gradients to the pass that learns.

    Args:
        precision: `fp32` changes nothing.
        device: Where the block computes.

    Raises:
        UsageError: The device has no such block.
    """
    if precision == "fp32":
        return nullcontext()
    if not torch.amp.autocast_mode.is_autocast_available(device.type):
        raise UsageError(
            f"--precision {precision}",
            expected="a device with mixed precision, such as cpu or cuda",
            got=device.type,
            fix="leave it out, or choose another --device",
        )
    return torch.autocast(device.type, DTYPES[precision], cache_enabled=False)


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Let a block inside that of :func:`mixed` compute in the types of its tensors."""
    return torch.autocast(device.type, enabled=False)
