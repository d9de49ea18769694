"""Faithfulness of heatmaps: insertion, deletion, ROAD, pixel flipping and average drop.

Every measure is a pure function of :class:`Explained` (a model, images, a class for each image) and
of one heatmap for each image. It returns one result for each image. Compare each result with those
of heatmaps that do not depend on the model: :func:`random_maps` and :func:`centre_map`.
"""

from __future__ import annotations

from ectool.faithfulness.average_drop import ConfidenceChanges, confidence_changes
from ectool.faithfulness.baselines import centre_map, random_maps
from ectool.faithfulness.curves import Curves, deletion, insertion, pixel_flipping
from ectool.faithfulness.predictions import Explained
from ectool.faithfulness.road import road

__all__ = [
    "ConfidenceChanges",
    "Curves",
    "Explained",
    "centre_map",
    "confidence_changes",
    "deletion",
    "insertion",
    "pixel_flipping",
    "random_maps",
    "road",
]
