"""Charts and images of an experiment: learning curves, rounds, and samples of a round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from ectool.reports.content import Arm, ExperimentResults, Round, RoundSamples, Sample
from ectool.reports.page.charts import density_chart, line_chart
from ectool.reports.page.images import amplification, data_uri, tiles
from ectool.reports.plotting import Line
from ectool.reports.training_records import CURVES, EDGES, history_lines

TITLES = {
    "consistency": "Explanation consistency",
    "similarity": "Heatmap similarity",
    "stability": "Prediction stability",
    "weight": "Weight (logarithmic)",
}
"""Titles of the charts of a round's scores."""


@dataclass(frozen=True)
class SampleImages:
    """A sample, and its images as `data:` URIs by name."""

    sample: Sample
    images: Mapping[str, str]


def summaries(experiment: ExperimentResults) -> dict[str, dict[str, int]]:
    """Count the metrics on which each arm is better or worse than the reference.

    Returns:
        Number of metrics (`better`, `worse`, `all`) by arm, without the reference.
    """
    return {arm.name: _verdicts(arm) for arm in experiment.arms if arm.name != experiment.reference}


def _verdicts(arm: Arm) -> dict[str, int]:
    found = [r.difference.verdict for r in arm.results.values() if r.difference is not None]
    return {name: found.count(name) for name in ("better", "worse")} | {"all": len(found)}


def has_rounds(experiment: ExperimentResults) -> bool:
    """Report whether any arm of an experiment was trained with rounds."""
    return any(any(arm.rounds.values()) for arm in experiment.arms)


def learning_curves(experiment: ExperimentResults, suffix: str) -> Iterator[str]:
    """Draw what was measured during training, for each arm.

    Args:
        experiment: The experiment.
        suffix: End of the chart labels, which distinguishes experiments.
    """
    warmup = experiment.warmup_epochs if has_rounds(experiment) else None
    for key, title, percent in CURVES:
        lines = [(number, history_lines(arm, key)) for number, arm in enumerate(experiment.arms)]
        groups = [(number, found) for number, found in lines if found]
        if groups:
            yield line_chart(
                groups,
                title=title,
                label=f"{title}, by epoch, for each arm{suffix}",
                axis="epoch",
                percent=percent,
                mark=warmup,
            )


def round_charts(number: int, arm: Arm, suffix: str) -> Iterator[str]:
    """Draw consistency, its two factors, weights and effective sample size over the rounds.

    Args:
        number: Number of the arm, which sets the style.
        arm: The arm.
        suffix: End of the chart labels, which distinguishes experiments.
    """
    seeds = [rounds for rounds in arm.rounds.values() if rounds]
    length = min(len(rounds) for rounds in seeds)
    by_round = [[rounds[index] for rounds in seeds] for index in range(length)]
    for name, title in TITLES.items():
        shares, quantiles = _pooled(by_round, name)
        yield density_chart(
            shares,
            quantiles,
            EDGES[name],
            title=title,
            label=f"{title} of the samples in each round, arm {arm.name}{suffix}",
            logarithmic=name == "weight",
        )
    yield line_chart(
        [(number, [_sample_sizes(rounds) for rounds in seeds])],
        title="Effective sample size, % of the samples",
        label=f"Effective sample size in each round, arm {arm.name}{suffix}",
        axis="round",
        percent=True,
    )


def _pooled(by_round: list[list[Round]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the histogram of each round over all seeds as shares, and its mean quantiles."""
    distributions = [[getattr(one, name) for one in same] for same in by_round]
    counts = np.array([np.sum([d.counts for d in same], axis=0) for same in distributions])
    quantiles = np.array([np.mean([d.quantiles for d in same], axis=0) for same in distributions])
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), quantiles


def _sample_sizes(rounds: Sequence[Round]) -> Line:
    positions = np.array([one.number for one in rounds], dtype=np.float64)
    return positions, np.array([one.effective_sample_size / one.samples for one in rounds])


def draw_samples(round_samples: RoundSamples) -> dict[str, Any]:
    """Draw the samples of a round.

    Returns:
        `factor`, the amplification of all differences, and `by_class`, pairs of a class and the
        images of its samples.
    """
    factor = amplification(round_samples.samples)
    by_class = [
        (label, [_draw_sample(sample, factor) for sample in samples])
        for label, samples in groupby(round_samples.samples, key=lambda sample: sample.label)
    ]
    return {"factor": factor, "by_class": by_class}


def _draw_sample(sample: Sample, factor: int) -> SampleImages:
    images = {name: data_uri(tile) for name, tile in tiles(sample, factor).items()}
    return SampleImages(sample, images)
