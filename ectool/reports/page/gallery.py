"""The gallery: images as every model sees them, small enough to be all in the page."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ectool.reports.content import Sample
from ectool.reports.page.images import (
    OPACITY,
    Heatmap,
    amplification,
    data_uri,
    difference,
    palette,
    to_pixels,
)
from ectool.reports.report import Exhibit, Report

LARGEST_MAP = 32
"""Larger heatmaps are reduced to this side; the script enlarges them again."""


@dataclass(frozen=True)
class Gallery:
    """What the page shows of the gallery, and what its script draws from.

    Attributes:
        exhibits: The images.
        images: Each as a `data:` URI.
        models: Models that have seen some of them.
        others: Models whose evaluations hold no heatmaps.
        classes: True classes, in the order of the images.
        factor: How much differences are amplified.
        is_pixel_art: Whether the images are so small that their pixels should be seen.
        data: What the script reads: JSON values.
    """

    exhibits: tuple[Exhibit, ...]
    images: tuple[str, ...]
    models: tuple[str, ...]
    others: tuple[str, ...]
    classes: tuple[str, ...]
    factor: int
    is_pixel_art: bool
    data: dict[str, Any]


def show_gallery(report: Report) -> Gallery | None:
    """Draw the gallery; None without images."""
    exhibits = report.gallery
    if not exhibits:
        return None
    factor = amplification([sample for one in exhibits for sample in one.seen.values()])
    models = tuple(e.name for e in report.entries if any(e.name in one.seen for one in exhibits))
    return Gallery(
        exhibits=exhibits,
        images=tuple(data_uri(to_pixels(one.first.image)) for one in exhibits),
        models=models,
        others=tuple(entry.name for entry in report.entries if entry.name not in models),
        classes=tuple(dict.fromkeys(one.first.label for one in exhibits)),
        factor=factor,
        is_pixel_art=exhibits[0].first.is_small,
        data={
            "factor": factor,
            "opacity": OPACITY,
            "palette": _text(palette()),
            "models": models,
            "samples": [_drawn(one, models, factor) for one in exhibits],
        },
    )


def _drawn(exhibit: Exhibit, models: Sequence[str], factor: int) -> dict[str, Any]:
    """Return what the script needs of an image."""
    first = exhibit.first
    seen = [exhibit.seen.get(model) for model in models]
    return {
        "id": first.sample_id,
        "label": first.label,
        "seen": [sample and _as_seen(sample, factor) for sample in seen],
    }


def _as_seen(sample: Sample, factor: int) -> dict[str, Any]:
    """Return what the script needs of an image as one model sees it.

    The perturbed image is left out: it is the image plus the difference.
    """
    return {
        "predicted": sample.predicted,
        "correct": sample.correct,
        "consistency": _number(sample.consistency),
        "weight": _number(sample.weight),
        "scale": sample.scale,
        "difference": data_uri(difference(sample.image, sample.perturbed, factor)),
        "clean": _levels(sample.clean, sample.scale),
        "adversarial": _levels(sample.adversarial, sample.scale),
    }


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _levels(heatmap: Heatmap, scale: float) -> dict[str, Any]:
    """Return a heatmap as bytes, of which 255 stands for the scale."""
    small = Image.fromarray(np.asarray(heatmap, dtype=np.float32))
    if max(small.size) > LARGEST_MAP:
        small.thumbnail((LARGEST_MAP, LARGEST_MAP), Image.Resampling.BOX)
    shares = np.clip(np.asarray(small) / scale, 0, 1) if scale > 0 else np.zeros(small.size[::-1])
    levels = np.rint(shares * 255).astype(np.uint8)
    return {"width": small.width, "height": small.height, "levels": _text(levels)}


def _text(values: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
