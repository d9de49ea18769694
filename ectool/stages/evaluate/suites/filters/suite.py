"""Filters suite: location instability and group purity of the filters of a layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from ectool.config import EvaluateConfig
from ectool.datasets.base import Dataset, is_multilabel
from ectool.metrics.filters.groups import (
    filter_covariance,
    filter_similarity,
    group_purity,
    spectral_groups,
)
from ectool.metrics.filters.instability import (
    box_landmarks,
    filter_classes,
    filter_distances,
    filter_instability,
    filter_peaks,
    mask_landmarks,
)
from ectool.metrics.statistics import without_interval
from ectool.stages.common.shards import Work
from ectool.stages.evaluate.suites.base import Columns, Lack, Resampling, Suite, Variants
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.parts import ORIGINAL, Part, Subject, mapped
from ectool.types import Estimate

FILTERS = "filters.zarr"
GROUPS = 16
"""Maximum number of groups of the group purity, as in the code of Shen et al."""


def parts(subject: Subject) -> tuple[Part, ...]:
    """Return the part with the maps; none for a program, which does not show its layers."""
    if subject.reference.is_program:
        return ()
    return (mapped(FILTERS, "filters", _work, only_subset=True),)


def lack(config: EvaluateConfig, variants: Variants) -> Lack | None:  # noqa: ARG001 (protocol)
    """Return that location instability needs annotated objects of one class."""
    dataset = variants[ORIGINAL]
    if is_multilabel(dataset.labels):
        return Lack("it is defined for one label a sample", "filter_instability")
    found = dataset.annotations(np.arange(1))
    if found.parts is None and found.boxes is None and found.masks is None:
        return Lack("the images have no object masks, boxes or parts", "filter_instability")
    return None


def _work(subject: Subject) -> Work[Any]:
    from ectool.stages.evaluate.suites.filters.work import FilterWork

    return FilterWork(subject.model, subject.subset)


def columns(evaluated: Evaluated) -> Columns:  # noqa: ARG001 (protocol)
    """Return no columns: both metrics compare images with each other."""
    return {}


def estimates(evaluated: Evaluated, resampling: Resampling) -> dict[str, Estimate]:
    """Return group purity; and location instability, if objects are annotated.

    The latter needs one class for each image.
    """
    if not evaluated.has(FILTERS):
        return {}
    artifact = evaluated.parts[FILTERS]
    maps, labels = artifact.read("maps"), artifact.read("label")
    found = {"group_purity": without_interval(_purity(maps, resampling.seed), len(maps))}
    if evaluated.dataset is None or is_multilabel(labels):
        return found
    landmarks = _landmarks(evaluated.dataset, artifact.sample_ids)
    if landmarks is None:
        return found
    size = evaluated.dataset.size
    own = labels[:, None] == filter_classes(maps, labels)
    distances = filter_distances(filter_peaks(maps, size), landmarks, own, size)
    instability = filter_instability(
        distances, resamples=resampling.resamples, seed=resampling.seed
    )
    return {"filter_instability": instability, **found}


def _purity(maps: Float[np.ndarray, "n c h w"], seed: int) -> float:
    """Return the group purity; NaN for a layer of one filter."""
    count = min(GROUPS, maps.shape[1])
    if count == 1:
        return math.nan
    similarity = filter_similarity(filter_covariance(maps))
    return group_purity(similarity, spectral_groups(similarity, count, seed))


def _landmarks(dataset: Dataset, sample_ids: list[str]) -> Float[np.ndarray, "n p 3"] | None:
    """Return the parts of the objects, or else the landmarks of their boxes or masks."""
    rows = {name: row for row, name in enumerate(dataset.sample_ids)}
    found = dataset.annotations(np.array([rows[name] for name in sample_ids]), None)
    if found.parts is not None:
        return found.parts
    if found.boxes is not None:
        return box_landmarks(found.boxes)
    return None if found.masks is None else mask_landmarks(found.masks)


SUITE = Suite(parts, columns, estimates, lack=lack)
