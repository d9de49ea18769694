"""Copies of a classifier in another floating-point type, and what that type may gain."""

from __future__ import annotations

import copy
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch
from torch.utils.flop_counter import FlopCounterMode

from ectool.models.classifier import Classifier

Precision = Literal["fp32", "bf16"]
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
