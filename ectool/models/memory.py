"""Memory of forward passes: images per pass, and reuse of freed blocks on a CPU."""

from __future__ import annotations

import ctypes
import gc

import torch
from jaxtyping import Float
from torch import Tensor

# Parameters of glibc's mallopt, as in its malloc.h, and their maximum values.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MAX, _MAX_BLOCK = 2**31 - 1, 2**30
# Twelve images of 224 x 224 keep the cores of a CPU busy; an accelerator needs more.
_PIXELS, _ACCELERATOR_PIXELS = 12 * 224**2, 128 * 224**2
_LARGEST_BATCH = 512 * 224**2
"""Pixels of the first automatic batch on an accelerator; more make no pass faster."""


def keep_freed_memory() -> bool:
    """Let this process keep large freed blocks of memory for the next pass.

    By default glibc returns each freed block above 32 MB to the kernel, and the kernel clears the
    next one page by page: a third of the time of a ResNet-50 at 224. Blocks that are kept need no
    clearing. The process does not shrink any more.

    Returns:
        Whether the allocator has this setting; other allocators are unchanged.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc, or no C library
        return False
    accepted = [mallopt(_MMAP_THRESHOLD, _MAX_BLOCK), mallopt(_TRIM_THRESHOLD, _MAX)]
    return all(accepted)


def pass_size(images: Float[Tensor, "n ch h w"]) -> int:
    """Return the number of images of this size in one forward pass, which bounds the memory."""
    pixels = _PIXELS if images.device.type == "cpu" else _ACCELERATOR_PIXELS
    return max(1, pixels // images.shape[2:].numel())


def first_batch(size: tuple[int, int], device: torch.device) -> int:
    """Return the batch size that is tried first.

    On a CPU that of :func:`pass_size`, which keeps the cores busy; on an accelerator 512 images of
    224 x 224, or as many pixels of another size, which is halved until they fit.

    Args:
        size: (height, width) of the images.
        device: Where they are computed.
    """
    pixels = _PIXELS if device.type == "cpu" else _LARGEST_BATCH
    return max(1, pixels // (size[0] * size[1]))


def release() -> None:
    """Give memory that no tensor uses back to the device, after a batch that was too large."""
    gc.collect()
    torch.cuda.empty_cache()  # without effect where CUDA is not used
