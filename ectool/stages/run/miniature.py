"""An experiment cut down to a minute on any machine: same data set and chain, hardly any training.

What comes out says nothing about the method; it says that the files are there, that every stage
takes them, and what the report will look like.
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
"""What replaces the file's own values, table by table."""


def miniature(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return an experiment file with its schedule, images and attacks cut down.

    Args:
        document: The file's tables; arms and data sets stay as they are.
    """
    names = dict.fromkeys([*document, *CUT])
    cut = {name: {**document.get(name, {}), **CUT.get(name, {})} for name in names}
    for table in cut.values():
        if table is not cut[SHARED_TABLE]:
            for name in CUT[SHARED_TABLE]:
                table.pop(name, None)
    return cut
