"""How many images go through a model at once."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

# A processor's cores are busy with a dozen images of 224, an accelerator waits for more.
_PIXELS, _ACCELERATOR_PIXELS = 12 * 224**2, 128 * 224**2


def pass_size(images: Float[Tensor, "n ch h w"]) -> int:
    """Return how many images like these go through a model at once: what bounds the memory."""
    pixels = _PIXELS if images.device.type == "cpu" else _ACCELERATOR_PIXELS
    return max(1, pixels // images.shape[2:].numel())
