"""Sections of the page, in their order.

A new section is a template `templates/sections/NAME.jinja` and a row of `SECTIONS`. The row names
the function that returns the variables of the template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from ectool.reports.classes import class_tables, confusions
from ectool.reports.content import ExperimentResults
from ectool.reports.leaderboard import by_suite, columns, group_numbers
from ectool.reports.page.charts import MAX_SHADED, group_style
from ectool.reports.page.comparisons import (
    MAX_GROUPS,
    MIN_IN_BIN,
    faithfulness_curves,
    orders,
    reliability_diagram,
    strength_curves,
    trade_offs,
)
from ectool.reports.page.experiments import (
    draw_samples,
    has_rounds,
    learning_curves,
    round_charts,
    summaries,
)
from ectool.reports.page.gallery import show_gallery
from ectool.reports.page.images import OPACITY, data_uri, palette
from ectool.reports.page.other_tables import other_tables
from ectool.reports.page.overview import overview
from ectool.reports.report import Report

OVERVIEW = "overview"
"""Section that is the first screen; it cannot be closed."""
Variables = Mapping[str, Any]
"""Variables of a template by name; an empty mapping leaves the section out."""
Opens = Literal["always", "wide", "click"]
"""When a section is open at first: always, on a wide screen only, or after a click."""


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        name: Anchor of the section, and name of its template.
        title: Heading of the section, and its entry in the contents.
        content: Function that returns the variables of the template.
        opens: When it is open at first. The first section below the overview is always open.
    """

    name: str
    title: str
    content: Callable[[Report], Variables]
    opens: Opens = "wide"


@dataclass(frozen=True)
class ExperimentSection:
    """A section that every experiment has.

    Attributes:
        name: Anchor of the section, and name of its template.
        title: Heading of the section, and its entry in the contents.
        content: Function that returns the variables of the template. Its last argument ends all
            anchors and chart labels of the experiment.
        opens: When it is open at first. The first section below the overview is always open.
    """

    name: str
    title: str
    content: Callable[[Report, ExperimentResults, str], Variables]
    opens: Opens = "wide"


def _overview(report: Report) -> Variables:
    found = overview(report)
    return {"overview": found} if found else {}


def _results(report: Report, experiment: ExperimentResults, suffix: str) -> Variables:
    return {
        "experiment": experiment,
        "suites": report.suites,
        "summaries": summaries(experiment),
        "has_rounds": has_rounds(experiment),
        "suffix": suffix,
        "nan": float("nan"),
    }


def _leaderboard(report: Report) -> Variables:
    if not report.entries:
        return {}
    found = columns(report)
    return {
        "entries": report.entries,
        "columns": found,
        "by_suite": by_suite(found),
        "groups": group_numbers(report),
        "style": group_style,
    }


def _failures(report: Report) -> Variables:
    return {"failures": report.failures} if report.failures else {}


def _curves(report: Report) -> Variables:
    curves = strength_curves(report)
    return (
        {"curves": _markup(curves), "max_shaded": MAX_SHADED, **_groups(report)} if curves else {}
    )


def _faithfulness(report: Report) -> Variables:
    curves = faithfulness_curves(report)
    styles = [(name, group_style(number)) for number, name in enumerate(orders(report))]
    return {"curves": _markup(curves), "orders": styles} if curves else {}


def _trade_offs(report: Report) -> Variables:
    charts = [Markup(chart) for chart in trade_offs(report)]
    return {"charts": charts, **_groups(report)} if charts else {}


def _calibration(report: Report) -> Variables:
    chart = reliability_diagram(report)
    return {"chart": Markup(chart), "min_in_bin": MIN_IN_BIN, **_groups(report)} if chart else {}


def _groups(report: Report) -> Variables:
    """Return the legend of charts of all models."""
    names = list(group_numbers(report))
    styles = [(name, group_style(number)) for number, name in enumerate(names[:MAX_GROUPS])]
    return {"group_styles": styles, "group_count": len(names)}


def _markup(charts: Mapping[str, Sequence[str]]) -> dict[str, list[Markup]]:
    """Mark charts as HTML that is not to be escaped."""
    return {name: [Markup(chart) for chart in group] for name, group in charts.items()}


def _classes(report: Report) -> Variables:
    tables = class_tables(report)
    return {"tables": tables, "nan": float("nan")} if tables else {}


def _confusion(report: Report) -> Variables:
    found = confusions(report)
    return {"confusions": found} if found else {}


def _tables(report: Report) -> Variables:
    tables = other_tables(report)
    return {"tables": tables} if tables else {}


def _gallery(report: Report) -> Variables:
    return {"gallery": show_gallery(report), **_heatmap_scale()} if report.entries else {}


def _heatmap_scale() -> Variables:
    bar = data_uri(np.repeat(palette()[None, ::4], 4, axis=0))
    return {"colour_bar": bar, "opacity": OPACITY}


def _training(_: Report, experiment: ExperimentResults, suffix: str) -> Variables:
    charts = [Markup(chart) for chart in learning_curves(experiment, suffix)]
    styles = [(arm.name, group_style(number)) for number, arm in enumerate(experiment.arms)]
    found = {"charts": charts, "styles": styles, "has_rounds": has_rounds(experiment)}
    return found if charts else {}


def _rounds(_: Report, experiment: ExperimentResults, suffix: str) -> Variables:
    charts = {
        arm.name: list(round_charts(number, arm, suffix))
        for number, arm in enumerate(experiment.arms)
        if any(arm.rounds.values())
    }
    return {"rounds": _markup(charts)} if charts else {}


def _samples(_: Report, experiment: ExperimentResults, __: str) -> Variables:
    found = experiment.round_samples
    return {"round_samples": found, **draw_samples(found), **_heatmap_scale()} if found else {}


def _metrics(report: Report) -> Variables:
    return {"metrics": report.metrics}


def _origin(report: Report) -> Variables:
    return {"provenance": report.provenance, "experiments": report.experiments}


SECTIONS: tuple[Section | ExperimentSection, ...] = (
    Section(OVERVIEW, "Overview", _overview, "always"),
    ExperimentSection("results", "Results", _results),
    Section("leaderboard", "Leaderboard", _leaderboard),
    Section("plots", "Metric by metric", _leaderboard),
    Section("failures", "Failed models", _failures, "always"),
    Section("curves", "Curves", _curves),
    Section("faithfulness", "Faithfulness", _faithfulness),
    Section("trade-offs", "Trade-offs", _trade_offs),
    Section("calibration", "Calibration", _calibration),
    Section("classes", "Classes", _classes, "click"),
    Section("confusion", "Confusion", _confusion, "click"),
    Section("tables", "Other tables", _tables, "click"),
    Section("gallery", "Gallery", _gallery),
    ExperimentSection("training", "Learning curves", _training),
    ExperimentSection("rounds", "Rounds", _rounds, "click"),
    ExperimentSection("samples", "Training samples", _samples, "click"),
    Section("metrics", "Metrics", _metrics, "click"),
    Section("origin", "Origin", _origin, "click"),
)
