"""What the page shows of an experiment: its arms, their training, their rounds, their samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from markupsafe import Markup

from ectool.reports.content import Arm, Experiment, Round, Sample, Sheet
from ectool.reports.page.charts import arm_style, density_chart, line_chart
from ectool.reports.page.images import amplification, data_uri, tiles
from ectool.reports.plotting import Line
from ectool.reports.training_records import (
    CONSISTENCY_EDGES,
    CURVES,
    WEIGHT_EDGES,
    history_lines,
)

Style = tuple[int, tuple[float, ...]]


@dataclass(frozen=True)
class ShownSample:
    """A sample and its five images as `data:` URIs."""

    sample: Sample
    images: tuple[str, ...]


@dataclass(frozen=True)
class ShownSheet:
    """The samples of a sheet by class, and what the images have in common."""

    sheet: Sheet
    factor: int
    by_class: list[tuple[str, list[ShownSample]]]


@dataclass(frozen=True)
class ShownExperiment:
    """An experiment, and what is drawn of it.

    Attributes:
        content: The experiment.
        suffix: What makes its anchors differ from those of other experiments.
        styles: Colour and dash pattern of each arm.
        curves: Learning curves.
        rounds: Charts of the rounds of each arm that has any.
        summaries: How many metrics of each arm are better or worse than the reference's.
        shown: Samples of a round.
    """

    content: Experiment
    suffix: str
    styles: dict[str, Style]
    curves: list[Markup]
    rounds: dict[str, list[Markup]]
    summaries: dict[str, dict[str, int]]
    shown: ShownSheet | None


def show_experiment(content: Experiment, suffix: str) -> ShownExperiment:
    """Draw an experiment.

    Args:
        content: The experiment.
        suffix: What makes its anchors, and the texts of its charts, differ from others'.
    """
    arms = content.arms
    return ShownExperiment(
        content=content,
        suffix=suffix,
        styles={arm.name: arm_style(number) for number, arm in enumerate(arms)},
        curves=[Markup(chart) for chart in learning_curves(content, suffix)],
        rounds={
            arm.name: [Markup(chart) for chart in round_charts(number, arm, suffix)]
            for number, arm in enumerate(arms)
            if any(arm.rounds.values())
        },
        summaries={a.name: verdicts(a) for a in arms if a.name != content.reference},
        shown=show(content.sheet) if content.sheet else None,
    )


def verdicts(arm: Arm) -> dict[str, int]:
    """Count the metrics on which an arm differs from the reference."""
    found = [r.difference.verdict for r in arm.results.values() if r.difference is not None]
    return {name: found.count(name) for name in ("better", "worse")} | {"all": len(found)}


def learning_curves(content: Experiment, suffix: str) -> Iterator[str]:
    """Draw the measures that were taken while training."""
    for key, title, percent in CURVES:
        lines = [(number, history_lines(arm, key)) for number, arm in enumerate(content.arms)]
        groups = [(number, found) for number, found in lines if found]
        if groups:
            mark = content.warmup_epochs if any(arm.rounds for arm in content.arms) else None
            yield line_chart(
                groups,
                title=title,
                label=f"{title}, by epoch, for each arm{suffix}",
                axis="epoch",
                percent=percent,
                mark=mark,
            )


def round_charts(number: int, arm: Arm, suffix: str) -> Iterator[str]:
    """Draw explanation consistency, weights and effective sample size over the rounds."""
    seeds = [rounds for rounds in arm.rounds.values() if rounds]
    length = min(len(rounds) for rounds in seeds)
    by_round = [[rounds[index] for rounds in seeds] for index in range(length)]
    for name, title, edges in (
        ("consistency", "Explanation consistency", CONSISTENCY_EDGES),
        ("weight", "Weight (logarithmic)", WEIGHT_EDGES),
    ):
        shares, quantiles = _pooled(by_round, name)
        yield density_chart(
            shares,
            quantiles,
            edges,
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
    """Return the histograms over all seeds as shares, and the means of their quantiles."""
    spreads = [[getattr(one, name) for one in same] for same in by_round]
    counts = np.array([np.sum([s.counts for s in same], axis=0) for same in spreads])
    quantiles = np.array([np.mean([s.quantiles for s in same], axis=0) for same in spreads])
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), quantiles


def _sample_sizes(rounds: Sequence[Round]) -> Line:
    positions = np.array([one.number for one in rounds], dtype=np.float64)
    return positions, np.array([one.effective_sample_size / one.samples for one in rounds])


def show(sheet: Sheet) -> ShownSheet:
    """Make the images of a sheet."""
    factor = amplification(sheet.samples)
    by_class = [
        (
            label,
            [ShownSample(s, tuple(data_uri(tile) for tile in tiles(s, factor))) for s in samples],
        )
        for label, samples in groupby(sheet.samples, key=lambda sample: sample.label)
    ]
    return ShownSheet(sheet, factor, by_class)
