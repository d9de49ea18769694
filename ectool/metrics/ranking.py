"""Average precision of one class over the ranking of its samples, for many resamples at once.

A sample counts as often as a resample contains it, so the scores are ranked once for all resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int8, Integer

Interpolation = Literal["all-points", "11-point"]
Counts = Integer[np.ndarray, "r n"]

_RECALL_STEPS = 10


@dataclass(frozen=True)
class Ranking:
    """The samples that count for one class, highest score first; equal scores are one rank.

    Only ranks with a positive matter: at the others recall does not rise and precision falls.

    Attributes:
        samples: Indices of the samples.
        positives: Indices of the samples that contain the class, in the same order.
        ends: Index into ``samples`` of the last sample of each rank that matters.
        positive_ends: Index into ``positives`` of the last positive of each rank that matters.
    """

    samples: Integer[np.ndarray, "m"]
    positives: Integer[np.ndarray, "p"]
    ends: Integer[np.ndarray, "ranks"]
    positive_ends: Integer[np.ndarray, "ranks"]


def rank(scores: Float[np.ndarray, "n"], labels: Int8[np.ndarray, "n"]) -> Ranking:
    """Rank the samples of one class by their scores.

    Args:
        scores: Scores of the class; NaN ranks last, with -inf.
        labels: Present (1), absent (0) or not counted (-1).

    Returns:
        The ranking; the order within a rank is arbitrary and has no effect.
    """
    counting = np.flatnonzero(labels >= 0)
    values = np.where(np.isnan(scores), -np.inf, scores)[counting]
    descending = np.argsort(-values)
    samples, values = counting[descending], values[descending]
    is_positive = labels[samples] == 1
    is_end = np.ones(len(values), np.bool_)
    is_end[:-1] = values[1:] != values[:-1]
    ends = np.flatnonzero(is_end)
    retrieved = is_positive.cumsum()[ends]
    matters = np.diff(retrieved, prepend=0) > 0
    return Ranking(samples, samples[is_positive], ends[matters], retrieved[matters] - 1)


def average_precisions(
    ranking: Ranking, counts: Counts, interpolation: Interpolation
) -> Float64[np.ndarray, "r"]:
    """Return the class's average precision in each resample.

    ``precision = hits / retrieved`` and ``recall = hits / total`` at the end of each rank;
    ``envelope = max(precision where recall is at least that of the rank)``.

    Args:
        ranking: The class's ranking.
        counts: How often each resample contains each sample.
        interpolation: "all-points" for ``sum(rise of recall * envelope)``, "11-point" for the
            mean of the envelope at recall 0, 0.1, ..., 1.

    Returns:
        Average precision in [0, 1]; NaN for a resample without a positive.
    """
    if len(ranking.positives) == 0:
        return np.full(len(counts), np.nan)
    retrieved = np.take(counts, ranking.samples, axis=1).cumsum(axis=1)[:, ranking.ends]
    hits = np.take(counts, ranking.positives, axis=1).cumsum(axis=1)[:, ranking.positive_ends]
    precision = hits / np.maximum(retrieved, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    integrate = _all_points if interpolation == "all-points" else _eleven_points
    return np.where(hits[:, -1] > 0, integrate(hits, envelope), np.nan)


def _all_points(
    hits: Integer[np.ndarray, "r ranks"], envelope: Float64[np.ndarray, "r ranks"]
) -> Float64[np.ndarray, "r"]:
    rise = np.diff(hits, axis=1, prepend=0)
    area: Float64[np.ndarray, "r"] = (rise * envelope).sum(axis=1) / np.maximum(hits[:, -1], 1)
    return area


def _eleven_points(
    hits: Integer[np.ndarray, "r ranks"], envelope: Float64[np.ndarray, "r ranks"]
) -> Float64[np.ndarray, "r"]:
    total = hits[:, -1:]
    levels = []
    for step in range(_RECALL_STEPS + 1):
        # In integers: 3 of 10 positives are recall 0.3, but 3 * 0.1 is not exactly 0.3.
        first = (_RECALL_STEPS * hits < step * total).sum(axis=1, keepdims=True)
        levels.append(np.take_along_axis(envelope, first, axis=1)[:, 0])
    return np.asarray(np.mean(levels, axis=0))
