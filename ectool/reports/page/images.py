"""Images of the page: amplified differences, heatmap overlays, and their `data:` URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from PIL import Image

from ectool.reports.content import MAX_SIDE, PIXEL_ART, Sample

RGB = UInt8[np.ndarray, "3 h w"]
Pixels = UInt8[np.ndarray, "h w 3"]
Heatmap = Float[np.ndarray, "k l"]

GREY = 128
COLORMAP = "viridis"
"""Colours of heatmaps: perceptually uniform, and safe for colour-blind readers."""
OPACITY = 0.6
"""Share of the heatmap's colour in an overlay; the rest is the image in grey."""


def tiles(sample: Sample, factor: int) -> dict[str, Pixels]:
    """Return image, perturbed image, amplified difference and both heatmap overlays by name.

    Args:
        sample: The sample.
        factor: Factor of the difference.
    """
    return {
        "image": to_pixels(sample.image),
        "perturbed": to_pixels(sample.perturbed),
        f"difference ×{factor}": difference(sample.image, sample.perturbed, factor),
        "heatmap": overlay(sample.image, sample.clean, sample.scale),
        "heatmap of perturbed": overlay(sample.perturbed, sample.adversarial, sample.scale),
    }


def to_pixels(image: RGB) -> Pixels:
    """Return an image with its channels last."""
    return np.ascontiguousarray(image.transpose(1, 2, 0))


def amplification(samples: Sequence[Sample]) -> int:
    """Return the largest integer factor that clips no difference of the samples."""
    largest = max((int(np.abs(_change(s.image, s.perturbed)).max()) for s in samples), default=0)
    return max(1, (GREY - 1) // max(1, largest))


def difference(image: RGB, perturbed: RGB, factor: int) -> Pixels:
    """Return `128 + factor * (perturbed - image)`: grey where both images are equal."""
    amplified = np.clip(GREY + factor * _change(image, perturbed), 0, 255)
    return to_pixels(amplified.astype(np.uint8))


def _change(image: RGB, perturbed: RGB) -> np.ndarray:
    return perturbed.astype(np.int32) - image.astype(np.int32)


def overlay(image: RGB, heatmap: Heatmap, scale: float) -> Pixels:
    """Blend a coloured heatmap with the grey image.

    Args:
        image: The image.
        heatmap: Values of at least 0; enlarged bilinearly.
        scale: Value of the last colour; a scale of 0 gives the first colour everywhere.
    """
    height, width = image.shape[1:]
    small = Image.fromarray(np.asarray(heatmap, dtype=np.float32))
    large = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))
    shares = np.clip(large / scale, 0, 1) if scale > 0 else np.zeros_like(large)
    colours = palette()[np.rint(shares * 255).astype(np.uint8)]
    grey = np.asarray(Image.fromarray(to_pixels(image)).convert("L"))[..., None]
    blend: Pixels = np.rint(OPACITY * colours + (1 - OPACITY) * grey).astype(np.uint8)
    return blend


def palette() -> UInt8[np.ndarray, "256 3"]:
    """Return the colours of heatmaps, from the lowest to the highest value."""
    colours: UInt8[np.ndarray, "256 3"]
    colours = np.rint(colormaps[COLORMAP](np.arange(256))[:, :3] * 255).astype(np.uint8)
    return colours


def data_uri(pixels: Pixels) -> str:
    """Return an image as a `data:` URI: small images as PNG, larger ones as a reduced JPEG."""
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    if max(image.size) <= PIXEL_ART:
        image.save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
        image.save(buffer, "JPEG", quality=85)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
