"""Memory of forward passes: how many images at once, and keeping freed blocks on a CPU."""

from __future__ import annotations

import ctypes

from jaxtyping import Float
from torch import Tensor

# Parameters of glibc's mallopt, as in its malloc.h, and the largest values they take.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST, _LARGEST_BLOCK = 2**31 - 1, 2**30
# A processor's cores are busy with a dozen images of 224, an accelerator waits for more.
_PIXELS, _ACCELERATOR_PIXELS = 12 * 224**2, 128 * 224**2


def keep_freed_memory() -> bool:
    """Let this process keep large blocks that are freed, for the next pass.

    glibc asks the kernel for each block above 32 MB anew and hands it back when it is freed, so
    that every large activation of every pass is cleared page by page: a third of the time of a
    ResNet-50 at 224. Blocks that are kept are warm. The process stays as large as it ever was.

    Returns:
        Whether there is an allocator that can be told so; others are left alone.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc, or no C library to be asked by name
        return False
    told = [mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK), mallopt(_TRIM_THRESHOLD, _MOST)]
    return all(told)


def pass_size(images: Float[Tensor, "n ch h w"]) -> int:
    """Return how many images like these go through a model at once: what bounds the memory."""
    pixels = _PIXELS if images.device.type == "cpu" else _ACCELERATOR_PIXELS
    return max(1, pixels // images.shape[2:].numel())
