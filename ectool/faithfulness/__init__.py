"""Does the model need what the heatmap shows: insertion, deletion, ROAD, flipping, average drop.

Every measure is a pure function of :class:`Explained` (a model, images, a class of each) and one
heatmap of each image, and has a result for each image. Beside each number belongs that of maps
which know nothing of the model: :func:`random_maps` and :func:`centre_map`.
"""

from __future__ import annotations

from ectool.faithfulness.answers import Explained
from ectool.faithfulness.average_drop import ConfidenceChanges, confidence_changes
from ectool.faithfulness.baselines import centre_map, random_maps
from ectool.faithfulness.curves import Curves, deletion, insertion, pixel_flipping
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
