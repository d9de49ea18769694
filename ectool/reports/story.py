"""The story of a report: a reference and the best model, their differences, and samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ectool.reports.content import Arm, Difference, ExperimentResults, Metric
from ectool.reports.leaderboard import SHOWN_WITH, headlines
from ectool.reports.report import EvaluatedModel, GallerySample, Report
from ectool.reports.strengths import UnderAttack, weakest
from ectool.types import Estimate, IntervalKind

FIRST = (
    "accuracy@original",
    "map@original",
    "background_gap",
    UnderAttack("pgd"),
    UnderAttack("pgd", "map"),
    "energy_inside",
    "explanation_consistency",
)
"""Headline metrics that the story prefers; the other headlines of the leaderboard follow."""
COUNT = 5
"""Headline metrics that the first screen shows."""
MIN_SEEDS = 2
"""Seeds that a paired test needs."""
PLACES = ("lowest", "middle", "highest")
"""Places of the samples in the order of explanation consistency."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        name: Name of the arm or model.
        values: Value and interval of each metric.
        model: Name of its model in the gallery: for an arm, that of the first seed.
    """

    name: str
    values: Mapping[str, Estimate]
    model: str


@dataclass(frozen=True)
class Headline:
    """A metric of the story.

    Attributes:
        metric: Label and definition.
        values: Value of the reference and of the best model, or of a single model.
        difference: Best model minus reference; None for a single model.
        parts: The factors of explanation consistency; empty for other metrics.
    """

    metric: Metric
    values: tuple[Estimate, ...]
    difference: Difference | None
    parts: tuple[Headline, ...] = ()


@dataclass(frozen=True)
class Strip:
    """Samples of the first screen.

    Attributes:
        models: Name in the gallery of each model that is shown, by its name in the story.
        samples: The samples by their place in the order of the first model's explanation
            consistency.
    """

    models: Mapping[str, str]
    samples: Mapping[str, GallerySample]


@dataclass(frozen=True)
class Story:
    """Content of the first screen.

    Attributes:
        sides: The reference and the best model, or a single model.
        rivals: Number of arms or models that the best one was chosen from.
        seeds: Seeds of an experiment; empty for other models.
        data: Data set of the models.
        headlines: All headline metrics, the first screen's before the others.
        strip: The samples; None without heatmaps.
    """

    sides: tuple[Side, ...]
    rivals: int
    seeds: tuple[int, ...]
    data: str
    headlines: tuple[Headline, ...]
    strip: Strip | None

    @property
    def is_tested(self) -> bool:
        """Whether the differences are paired over seeds, and tested."""
        return len(self.sides) > 1 and len(self.seeds) >= MIN_SEEDS


def tell(report: Report) -> Story | None:
    """Return the story of a report; None without evaluated models.

    Of several experiments, the story is that of the first. The reference is that of the experiment,
    or the first model. The best model is the one of the others with the best mean rank on the
    headline metrics.
    """
    if not report.entries:
        return None
    if report.experiments:
        return _of_experiment(report, report.experiments[0])
    data = report.entries[0].data
    sides = [
        Side(entry.name, entry.evaluation.values, entry.name)
        for entry in report.entries
        if entry.data == data
    ]
    return _story(report, sides, {})


def _of_experiment(report: Report, experiment: ExperimentResults) -> Story:
    """Return the story of an experiment; with one seed, values are those of its models."""
    arms = sorted(experiment.arms, key=lambda arm: arm.name != experiment.reference)
    is_paired = len(experiment.seeds) >= MIN_SEEDS
    sides = []
    for arm in arms:
        entry = _entry(report, arm)
        means = {name: result.interval for name, result in arm.results.items()}
        sides.append(Side(arm.name, means if is_paired else entry.evaluation.values, entry.name))
    tested = {
        arm.name: {n: r.difference for n, r in arm.results.items() if r.difference is not None}
        for arm in arms
    }
    story = _story(report, sides, tested if is_paired else {})
    strip = story.strip or _strip_of_rounds(experiment)
    return replace(story, seeds=experiment.seeds, strip=strip)


def _entry(report: Report, arm: Arm) -> EvaluatedModel:
    """Return the model of an arm's first seed; of several sources, names have a prefix."""
    return next(e for e in report.entries if f"/{e.group}".endswith(f"/{arm.name}"))


def _story(
    report: Report, sides: Sequence[Side], tested: Mapping[str, Mapping[str, Difference]]
) -> Story:
    """Return the story of models, of which the first is the reference."""
    reference, *others = sides
    shown = (reference, best_of(others, report.metrics)) if others else (reference,)
    entry = next(entry for entry in report.entries if entry.name == reference.model)
    return Story(
        sides=shown,
        rivals=len(others),
        seeds=(),
        data=entry.data,
        headlines=tuple(_headlines(report.metrics, shown, tested.get(shown[-1].name))),
        strip=_strip(report.gallery, {side.name: side.model for side in shown}),
    )


def best_of(sides: Sequence[Side], metrics: Mapping[str, Metric]) -> Side:
    """Return the side with the best mean rank on the headline metrics that all sides have.

    Equal values share the mean of their ranks. Of equal mean ranks, the first side is returned.
    """
    totals = [0.0] * len(sides)
    for name in headlines(metrics):
        values = [_value(side, name).value for side in sides]
        if all(map(math.isfinite, values)):
            sign = -1 if metrics[name].higher_is_better else 1
            for place, value in enumerate(values):
                totals[place] += sum((sign * v < sign * value) + (v == value) / 2 for v in values)
    return sides[totals.index(min(totals))]


def _value(side: Side, name: str) -> Estimate:
    return side.values.get(name, Estimate(math.nan, math.nan, math.nan, 0))


def _headlines(
    metrics: Mapping[str, Metric],
    sides: Sequence[Side],
    tested: Mapping[str, Difference] | None,
) -> Iterator[Headline]:
    """Yield the headline metrics with defined values; those that the story prefers come first."""
    preferred = (weakest(wanted, metrics) for wanted in FIRST)
    for name in dict.fromkeys([*filter(None, preferred), *headlines(metrics)]):
        parts = [part for part in SHOWN_WITH.get(name, ()) if part in metrics]
        found, *factors = (_headline(one, metrics, sides, tested) for one in (name, *parts))
        if all(math.isfinite(value.value) for value in found.values):
            yield replace(found, parts=tuple(factors))


def _headline(
    name: str,
    metrics: Mapping[str, Metric],
    sides: Sequence[Side],
    tested: Mapping[str, Difference] | None,
) -> Headline:
    values = tuple(_value(side, name) for side in sides)
    if tested is not None:
        return Headline(metrics[name], values, tested.get(name))
    difference = independent_difference(values[0], values[-1]) if len(sides) > 1 else None
    return Headline(metrics[name], values, difference)


def independent_difference(first: Estimate, second: Estimate) -> Difference:
    """Return second minus first with an interval from the intervals of both.

    ``low = d - sqrt((second - second.low)^2 + (first.high - first)^2)``, and ``high`` with the
    other ends (MOVER, Zou and Donner 2008; for shares method 10 of Newcombe 1998). It is that of
    independent values. Models that err on the same images have a narrower one.
    """
    value = second.value - first.value
    low = value - math.hypot(second.value - second.low, first.high - first.value)
    high = value + math.hypot(second.high - second.value, first.value - first.low)
    kind: IntervalKind = "spread" if "spread" in (first.kind, second.kind) else "interval"
    return Difference(value, low, high, min(first.n, second.n), kind)


def _strip(gallery: Sequence[GallerySample], models: Mapping[str, str]) -> Strip | None:
    """Choose samples that the models share; of none, samples of the last model."""
    shared = [one for one in gallery if all(model in one.by_model for model in models.values())]
    if shared or len(models) == 1:
        return _chosen(shared, models)
    return _strip(gallery, dict([*models.items()][-1:]))


def _strip_of_rounds(experiment: ExperimentResults) -> Strip | None:
    """Choose training samples of the last round."""
    rounds = experiment.round_samples
    if rounds is None:
        return None
    found = [GallerySample({rounds.arm: sample}) for sample in rounds.samples]
    return _chosen(found, {rounds.arm: rounds.arm})


def _chosen(gallery: Sequence[GallerySample], models: Mapping[str, str]) -> Strip | None:
    """Choose samples by the first model's explanation consistency."""
    first = next(iter(models.values()))
    scores = {row: one.by_model[first].consistency for row, one in enumerate(gallery)}
    known = (row for row, score in scores.items() if math.isfinite(score))
    order = sorted(known, key=lambda row: scores[row])
    if not order:
        return None
    rows = (order[0], order[(len(order) - 1) // 2], order[-1])
    places = {row: place for place, row in zip(PLACES[::-1], rows[::-1], strict=True)}
    return Strip(models, {place: gallery[row] for row, place in reversed(places.items())})
