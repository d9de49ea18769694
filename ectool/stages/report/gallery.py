"""The gallery of a report: evaluated samples that all models share."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ectool.datasets.base import Dataset
from ectool.reports.content import MAX_SIDE
from ectool.reports.report import GallerySample
from ectool.reports.selection import spread
from ectool.stages.common.layout import HEATMAPS, SAMPLES, WEIGHTS
from ectool.stages.evaluate.results import part_of, read_results
from ectool.stages.report.samples import (
    RoundData,
    explained_labels,
    open_round,
    read_samples,
    rows_of,
)

MAX_SAMPLES = 80
PIXELS = 2_500_000
"""Maximum number of pixels of all perturbed images, which keeps the page below a few MB."""


def read_gallery(folders: Mapping[str, Path]) -> tuple[GallerySample, ...]:
    """Read the samples that a report shows of evaluations.

    Args:
        folders: Evaluation folders by the name of the model.

    Returns:
        Samples that all evaluations of a data set share, spread over classes and explanation
        consistency. Evaluations without explanation consistency are left out.

    Raises:
        InputError: A data set is missing, or has changed since the evaluation.
        IntegrityError: An artifact has changed, or does not belong to its evaluation.
    """
    with ExitStack() as stack:
        by_data: dict[str, dict[str, RoundData]] = {}
        for name, path in folders.items():
            results = read_results(path)
            if all(part_of(path, results, file) for file in (SAMPLES, HEATMAPS, WEIGHTS)):
                one = stack.enter_context(open_round(path))
                by_data.setdefault(one.source.fingerprint, {})[name] = one
        return tuple(sample for same in by_data.values() for sample in _gallery_samples(same))


def _gallery_samples(rounds: Mapping[str, RoundData]) -> list[GallerySample]:
    """Choose and read samples of evaluations on one data set."""
    first, *others = rounds.values()
    dataset = first.open_dataset()
    shared = set(first.weights.sample_ids).intersection(*(one.weights.sample_ids for one in others))
    ids = [name for name in first.weights.sample_ids if name in shared]
    labels = explained_labels(first)[rows_of(first.weights, ids)]
    choices = spread(labels, _mean_consistency(rounds, ids), count=_count(dataset, len(rounds)))
    chosen = {ids[choice.row]: choice.reason for choice in choices}
    by_model = {name: read_samples(one, dataset, chosen) for name, one in rounds.items()}
    return [
        GallerySample(dict(zip(by_model, samples, strict=True)))
        for samples in zip(*by_model.values(), strict=True)
    ]


def _mean_consistency(rounds: Mapping[str, RoundData], ids: list[str]) -> np.ndarray[Any, Any]:
    """Return the mean consistency of each sample over the models; NaN if undefined for all."""
    scores = np.stack(
        [
            one.weights.read("explanation_consistency")[rows_of(one.weights, ids)]
            for one in rounds.values()
        ]
    )
    known = ~np.isnan(scores)
    counts = known.sum(axis=0)
    sums = np.where(known, scores, 0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _count(dataset: Dataset, models: int) -> int:
    """Return the number of samples that fit into the page."""
    side = min(max(dataset.size), MAX_SIDE)
    return min(MAX_SAMPLES, max(1, PIXELS // (side * side * models)))
