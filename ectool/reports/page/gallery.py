"""The gallery: evaluated samples as every model processes them, small enough for one file."""

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
from ectool.reports.report import GallerySample, Report

MAX_MAP_SIDE = 32
"""Larger heatmaps are reduced to this side; the script enlarges them."""


@dataclass(frozen=True)
class Gallery:
    """What the page shows of the gallery, and the data of its script.

    Attributes:
        samples: The samples.
        images: Image of each sample as a `data:` URI.
        models: Models with heatmaps of at least one sample.
        others: Models without heatmaps.
        classes: True classes, in the order of the samples.
        factor: Amplification of the differences.
        is_pixel_art: Whether the images are small enough to be enlarged without smoothing.
        data: Input of the script: JSON values.
    """

    samples: tuple[GallerySample, ...]
    images: tuple[str, ...]
    models: tuple[str, ...]
    others: tuple[str, ...]
    classes: tuple[str, ...]
    factor: int
    is_pixel_art: bool
    data: dict[str, Any]


def show_gallery(report: Report) -> Gallery | None:
    """Draw the gallery of a report; None without samples."""
    samples = report.gallery
    if not samples:
        return None
    factor = amplification([result for one in samples for result in one.by_model.values()])
    models = tuple(e.name for e in report.entries if any(e.name in one.by_model for one in samples))
    return Gallery(
        samples=samples,
        images=tuple(data_uri(to_pixels(one.first.image)) for one in samples),
        models=models,
        others=tuple(entry.name for entry in report.entries if entry.name not in models),
        classes=tuple(dict.fromkeys(one.first.label for one in samples)),
        factor=factor,
        is_pixel_art=samples[0].first.is_small,
        data={
            "factor": factor,
            "opacity": OPACITY,
            "palette": _base64(palette()),
            "models": models,
            "samples": [_sample_data(one, models, factor) for one in samples],
        },
    )


def _sample_data(sample: GallerySample, models: Sequence[str], factor: int) -> dict[str, Any]:
    """Return the script's data of a sample; None for models without heatmaps of it."""
    results = [sample.by_model.get(model) for model in models]
    return {
        "id": sample.first.sample_id,
        "label": sample.first.label,
        "results": [result and _result_data(result, factor) for result in results],
    }


def _result_data(sample: Sample, factor: int) -> dict[str, Any]:
    """Return the script's data of a sample for one model.

    The perturbed image is left out: the script adds the difference to the image.
    """
    return {
        "predicted": sample.predicted,
        "correct": sample.correct,
        "consistency": _rounded(sample.consistency),
        "similarity": _rounded(sample.similarity),
        "stability": _rounded(sample.stability),
        "weight": _rounded(sample.weight),
        "scale": sample.scale,
        "difference": data_uri(difference(sample.image, sample.perturbed, factor)),
        "clean": _heatmap_data(sample.clean, sample.scale),
        "adversarial": _heatmap_data(sample.adversarial, sample.scale),
    }


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _heatmap_data(heatmap: Heatmap, scale: float) -> dict[str, Any]:
    """Return a heatmap as bytes; 255 is the value `scale`."""
    small = Image.fromarray(np.asarray(heatmap, dtype=np.float32))
    if max(small.size) > MAX_MAP_SIDE:
        small.thumbnail((MAX_MAP_SIDE, MAX_MAP_SIDE), Image.Resampling.BOX)
    shares = np.clip(np.asarray(small) / scale, 0, 1) if scale > 0 else np.zeros(small.size[::-1])
    levels = np.rint(shares * 255).astype(np.uint8)
    return {"width": small.width, "height": small.height, "levels": _base64(levels)}


def _base64(values: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
