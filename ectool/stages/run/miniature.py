"""Small versions of experiments: same data set and stages, but a minute of computation.

The results show nothing about the method. They show that the files are there, that every stage
reads them, and how the report looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ectool.config import EXPERIMENT_TABLE, SHARED_TABLE

SIDE = 64
IMAGES = 64
CUT: Mapping[str, Mapping[str, Any]] = {
    SHARED_TABLE: {"size": SIDE, "limit": IMAGES},
    EXPERIMENT_TABLE: {"seeds": (0,), "warmup": 0.5, "every": 1},
    "train": {
        "model": "smallcnn",
        "layer": None,
        "checkpoint": None,
        "reset_head": False,
        "epochs": 2,
        "batch_size": 8,
    },
    "perturb": {"steps": 1},
    "evaluate": {"steps": 1, "eps": (2 / 255,), "subset": 8, "bootstrap": 100},
}
"""Values that replace those of the file, by table."""


def miniature(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return an experiment file with a shorter schedule, fewer images and weaker attacks.

    Args:
        document: Tables of the file; arms and data sets are unchanged.
    """
    names = dict.fromkeys([*document, *CUT])
    cut = {name: {**document.get(name, {}), **CUT.get(name, {})} for name in names}
    for table in cut.values():
        if table is not cut[SHARED_TABLE]:
            for name in CUT[SHARED_TABLE]:
                table.pop(name, None)
    return cut
