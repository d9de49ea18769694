"""Helpers of figures and tables for papers: arms as models, file names, captions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ectool.reports.content import ExperimentResults, Metric
from ectool.reports.evaluation import Evaluation
from ectool.reports.report import EvaluatedModel, Report

IMAGES = "95 % intervals (mAP, location instability: spreads over resamples) over {} images"
SEEDS = "95 % t intervals over {} seeds"
"""Kind of the intervals: of single models, and of arms."""
DIRECTION = {True: "↑", False: "↓"}


def over_seeds(report: Report, experiment: ExperimentResults) -> Report:
    """Return the arms of an experiment as models, with means and intervals over seeds."""
    entries = tuple(
        EvaluatedModel(
            Evaluation(
                name=arm.name,
                metrics=experiment.metrics,
                values={name: result.interval for name, result in arm.results.items()},
                suites=report.suites,
                tables={},
            ),
            group=arm.name,
            data="",
        )
        for arm in experiment.arms
    )
    return Report(
        title=experiment.title,
        metrics=experiment.metrics,
        suites={name: report.suites.get(name, "other") for name in experiment.metrics},
        entries=entries,
        failures=(),
        experiments=(),
        gallery=(),
        provenance=report.provenance,
    )


def title(metric: Metric) -> str:
    """Return the name of a metric with its unit and direction."""
    unit = ", %" if metric.is_share else ""
    return f"{metric.label}{unit} {DIRECTION[metric.higher_is_better]}"


def prefixes(report: Report) -> list[str]:
    """Return the file prefix of each experiment: its title if there are several, else empty."""
    titles = slugs([experiment.title for experiment in report.experiments])
    return [f"{title}-" for title in titles] if len(titles) > 1 else [""] * len(titles)


def slug(name: str) -> str:
    """Return a name as part of a file name."""
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("._") or "unnamed"


def slugs(names: Sequence[str]) -> list[str]:
    """Return names as parts of file names, unique even if case is ignored."""
    found: list[str] = []
    for name in names:
        base = unique = slug(name)
        number = 1
        while unique.lower() in {other.lower() for other in found}:
            number += 1
            unique = f"{base}-{number}"
        found.append(unique)
    return found


def sizes(counts: Sequence[int]) -> str:
    """Return the number of samples for a caption, for example `n = 431 to 600`."""
    low, high = min(counts, default=0), max(counts, default=0)
    return f"n = {low}" if low == high else f"n = {low} to {high}"
