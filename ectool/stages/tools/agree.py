"""`agree`: similarity of the heatmaps of two artifacts, of the same images."""

from __future__ import annotations

from typing import Any

import numpy as np

from ectool.artifacts.artifact import Artifact
from ectool.config import AgreeConfig
from ectool.errors import InputError
from ectool.metrics.means import estimate_mean
from ectool.scores.agreement import AGREEMENTS, heatmap_agreement
from ectool.stages.common.inputs import positions
from ectool.stages.common.same_images import SELECTION, check_same_images
from ectool.stages.evaluate.suites.tables import interval
from ectool.types import SILENT, Reporter

ROWS = 512
"""Images compared at a time."""


def run(config: AgreeConfig, reporter: Reporter = SILENT) -> dict[str, Any]:  # noqa: ARG001 (protocol)
    """Return the mean agreement of the clean heatmaps, in each sense, with its interval.

    Raises:
        InputError: An artifact is missing, or both are of other images, classes or sizes.
    """
    with Artifact(config.a, "heatmaps") as a, Artifact(config.b, "heatmaps") as b:
        order = _common_order(a, b)
        columns = _columns(a, b, order)
    return {
        "a": str(config.a),
        "b": str(config.b),
        "images": len(order),
        "agreement": {name: interval(estimate_mean(column)) for name, column in columns.items()},
    }


def _common_order(a: Artifact, b: Artifact) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return where each image of A lies in B, after checking that they can be compared."""
    source = a.manifest.recipe.source if a.manifest else None
    check_same_images(b, source, str(b.path), SELECTION | {"size"})
    fix = "explain the same images with both models"
    positions(b.sample_ids, a.sample_ids, str(a.path), fix)
    order = positions(a.sample_ids, b.sample_ids, str(b.path), fix)
    if a.arrays["clean"].shape != b.arrays["clean"].shape:
        raise InputError(
            str(b.path),
            expected=f"heatmaps of shape {a.arrays['clean'].shape[1:]} as in {a.path}",
            got=str(b.arrays["clean"].shape[1:]),
            fix="explain both with --store-size pixels",
        )
    others = (a.read("target") != b.take("target", order)).reshape(len(order), -1).any(axis=1)
    if others.any():
        raise InputError(
            str(b.path),
            expected=f"heatmaps of the classes explained in {a.path}",
            got=f"another class for {a.sample_ids[int(others.argmax())]!r}",
            fix="explain both with --targets label",
        )
    return order


def _columns(
    a: Artifact, b: Artifact, order: np.ndarray[Any, np.dtype[np.int64]]
) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return the similarities of the heatmaps of each image; NaN where undefined."""
    parts: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in AGREEMENTS}
    for start in range(0, len(order), ROWS):
        stop = min(start + ROWS, len(order))
        first = a.read("clean", start, stop).astype(np.float32)
        second = b.take("clean", order[start:stop]).astype(np.float32)
        targets = a.read("target", start, stop).astype(np.int64)
        for name, measure in AGREEMENTS.items():
            parts[name].append(heatmap_agreement(measure, first, second, targets))
    return {name: np.concatenate(found).astype(np.float64) for name, found in parts.items()}
