"""Rank correlations of scores with the true reliance, over all checkpoints of a study."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from ectool.config import StudyConfig
from ectool.metrics.correlation import (
    Counts,
    Ranks,
    cluster_counts,
    correlation,
    midranks,
    once,
    partial_correlation,
    spearman,
)
from ectool.reports.validity import MEASURES
from ectool.stages.validity.tables import Table
from ectool.stages.validity.versions import CLEAN, Candidate, needed
from ectool.types import Estimate

NONE, SCORE = "none", "score"
"""Similarity or stability that is 1; similarity of a score of single maps."""
PER_IMAGE = MEASURES[:3]
CONFIDENCE = 0.95
SEED = 0

Values = Float64[np.ndarray, "n"]
Drawn = dict[str, Float64[np.ndarray, "r"]]


def score_of(table: Table, candidate: Candidate, config: StudyConfig) -> Values:
    """Return the score of each image: 1 where nothing changes.

    ``E = s_H s_P`` with both means over the draws, and over the levels where the amount is `mean`.
    """
    versions = needed(candidate.version, config)
    if candidate.similarity == SCORE:
        return _mean(table, [f"{version}|score|{candidate.stability}" for version in versions])
    parts = {"similarity": candidate.similarity, "stability": candidate.stability}
    values = [
        _mean(table, [f"{version}|{part}|{name}" for version in versions])
        for part, name in parts.items()
        if name != NONE
    ]
    return np.asarray(np.prod(values, axis=0))


def _mean(table: Table, names: list[str]) -> Values:
    columns = np.stack([table.columns[name].astype(np.float64) for name in names])
    return np.asarray(columns.mean(axis=0))


@dataclass(frozen=True)
class Reference:
    """What scores are compared with at one checkpoint, in the data or in resamples.

    Attributes:
        table: The table of the checkpoint.
        counts: How often each resample contains each image.
    """

    table: Table
    counts: Counts

    @cached_property
    def truth(self) -> Ranks:
        """Return the ranks of the true reliance."""
        return midranks(self._column("truth"), self.counts)

    @cached_property
    def loss(self) -> Ranks:
        """Return the ranks of the clean loss."""
        return midranks(self._column("loss"), self.counts)

    @cached_property
    def of_correct(self) -> tuple[np.ndarray, Counts, Ranks] | None:
        """Return rows, counts and ranks of the truth of the correct images, if there are any."""
        rows = np.flatnonzero(self.table.columns["correct"] > 0)
        kept = self.counts[:, rows]
        if len(rows) < 2 or (kept.sum(axis=1) == 0).any():
            return None
        return rows, kept, midranks(self._column("truth")[rows], kept)

    def correlations(self, values: Values) -> Drawn:
        """Return the correlations of values with the true reliance; 0 where undefined."""
        ranks = midranks(values, self.counts)
        found = {
            "spearman": correlation(ranks, self.truth, self.counts),
            "partial": partial_correlation(ranks, self.truth, self.loss, self.counts),
            "correct": np.zeros(len(self.counts)),
        }
        if self.of_correct is not None:
            rows, kept, truth = self.of_correct
            found["correct"] = correlation(midranks(values[rows], kept), truth, kept)
        return {name: np.nan_to_num(drawn) for name, drawn in found.items()}

    def _column(self, name: str) -> Values:
        return self.table.columns[name].astype(np.float64)


class Statistics:
    """Correlations over checkpoints, and their distribution over resamples.

    Args:
        tables: The table of each checkpoint.
        config: Options of the study.
    """

    def __init__(self, tables: list[Table], config: StudyConfig) -> None:
        self.tables, self.config = tables, config
        self.gaps = np.array([table.record["gap"] for table in tables])
        self.data = [Reference(table, once(len(table.clusters))) for table in tables]

    def point(self, candidate: Candidate) -> dict[str, float]:
        """Return the mean of each correlation over the checkpoints, and that over models."""
        found = {
            name: float(rows.mean()) for name, rows in self._each(self.data, candidate).items()
        }
        means = self.over_models(candidate).items()
        return {**found, **{name: spearman(values, self.gaps) for name, values in means}}

    def resampled(self, candidate: Candidate) -> Drawn:
        """Return the mean of each correlation over the checkpoints in every resample.

        The objects of a data set are drawn with replacement, the same ones for all its
        checkpoints; over models, whole trainings are drawn.
        """
        each = self._each(self._resamples, candidate)
        found = {name: rows.mean(axis=0) for name, rows in each.items()}
        return {**found, **self._resampled_models(candidate)}

    def over_models(self, candidate: Candidate) -> dict[str, Values]:
        """Return what the gap of each checkpoint is compared with.

        Returns:
            ``models``, the mean of 1 minus the score; ``relative``, ``1 - mean E / mean p`` with p
            the clean probability of the label, as a bad model has low scores on any background.
        """
        means, clean = (
            np.array([score_of(table, one, self.config).mean() for table in self.tables])
            for one in (candidate, clean_loss())
        )
        return {"models": 1 - means, "relative": 1 - means / clean}

    def by_checkpoint(self, candidate: Candidate) -> tuple[float, ...]:
        """Return the correlation per image of each checkpoint."""
        return tuple(map(float, self._each(self.data, candidate)["spearman"][:, 0]))

    def by_data(self, candidate: Candidate) -> dict[str, float]:
        """Return the correlation per image on each data set."""
        names = np.array([table.record["data"] for table in self.tables])
        values = np.array(self.by_checkpoint(candidate))
        return {str(name): float(values[names == name].mean()) for name in dict.fromkeys(names)}

    def _each(
        self, references: list[Reference], candidate: Candidate
    ) -> dict[str, Float64[np.ndarray, "t r"]]:
        rows = [
            reference.correlations(-score_of(reference.table, candidate, self.config))
            for reference in references
        ]
        return {name: np.stack([row[name] for row in rows]) for name in PER_IMAGE}

    @cached_property
    def _resamples(self) -> list[Reference]:
        return [Reference(table, self._drawn(table.clusters)) for table in self.tables]

    def _resampled_models(self, candidate: Candidate) -> Drawn:
        fields = ("data", "rho", "seed")
        names = [" ".join(str(one.record[f]) for f in fields) for one in self.tables]
        counts = self._drawn(np.unique(names, return_inverse=True)[1])
        gaps = midranks(self.gaps, counts)
        return {
            name: correlation(midranks(values, counts), gaps, counts)
            for name, values in self.over_models(candidate).items()
        }

    def _drawn(self, clusters: np.ndarray) -> Counts:
        """Draw resamples; the same ones for the same clusters."""
        return cluster_counts(clusters, self.config.resamples, np.random.default_rng(SEED))


def interval(value: float, drawn: Float64[np.ndarray, "r"], n: int) -> Estimate:
    """Return a value with the percentile interval of its resamples."""
    known = drawn[~np.isnan(drawn)]
    if len(known) < 2:
        return Estimate(value, float("nan"), float("nan"), n, "spread")
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value, float(low), float(high), n, "spread")


def clean_loss() -> Candidate:
    """Return the baseline: the order of the probabilities is that of the losses."""
    return Candidate.parse(f"{CLEAN}|{NONE}|probability", "baseline")
