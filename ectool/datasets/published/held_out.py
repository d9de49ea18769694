"""A fixed validation split for data sets whose makers publish none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from ectool.datasets.base import Labels, is_multilabel


def held_out_tenth(labels: Labels, names: Sequence[str]) -> Bool[np.ndarray, "n"]:
    """Mark a tenth of the samples of every class: those whose names have the lowest SHA-256.

    Args:
        labels: True classes; multi-label samples are drawn without regard to classes.
        names: What the hash is taken of, unique: sample ids, with the data set's name before them
            where they do not tell it.

    Returns:
        True for the samples of the validation split; ``len(class) // 10`` of every class.
    """
    held_out = np.zeros(len(labels), np.bool_)
    group = np.zeros(len(labels), np.int64) if is_multilabel(labels) else labels
    for label in np.unique(group):
        members = np.flatnonzero(group == label).tolist()
        members.sort(key=lambda row: hashlib.sha256(names[row].encode()).digest())
        held_out[members[: len(members) // 10]] = True
    return held_out
