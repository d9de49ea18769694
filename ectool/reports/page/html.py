"""The page: one HTML file without any request to elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ectool.reports import numbers
from ectool.reports.classes import class_tables, confusions
from ectool.reports.leaderboard import by_suite, columns, group_numbers
from ectool.reports.page.charts import arm_style
from ectool.reports.page.comparisons import (
    MOST_GROUPS,
    faithfulness_curves,
    orders,
    reliability_diagram,
    strength_curves,
    trade_offs,
)
from ectool.reports.page.experiments import ShownExperiment, show_experiment
from ectool.reports.page.further import further_tables, spelled
from ectool.reports.page.gallery import show_gallery
from ectool.reports.page.images import OPACITY, data_uri, palette
from ectool.reports.report import Report

PACKAGE = "ectool.reports.page"
TEMPLATE = "report.html.jinja"
SCRIPTS = ("state", "theme", "tables", "leaderboard", "drawing", "gallery", "sample", "page")
"""Files of the page's script, in order; none of it is needed to read the numbers."""


def render(report: Report, marks: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the page of a report.

    Args:
        report: What it says.
        marks: What meta tags say of it, by name.
    """
    environment = Environment(
        loader=PackageLoader(PACKAGE, "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "quantity": numbers.quantity,
        "bounds": numbers.bounds,
        "mark": numbers.mark,
        "p_value": numbers.p_value,
        "plain": numbers.plain,
        "spelled": spelled,
    }
    return environment.get_template(TEMPLATE).render(_view(report), marks=marks) + "\n"


def _view(report: Report) -> dict[str, Any]:
    """Return what the template shows."""
    script = _script()
    found = columns(report)
    return {
        "report": report,
        "style": Markup(_read("templates/style.css")),
        "script": Markup(script),
        "script_digest": _digest(script),
        "columns": found,
        "by_suite": by_suite(found),
        "groups": group_numbers(report),
        "look": arm_style,
        "most_groups": MOST_GROUPS,
        "curves": _markup(strength_curves(report)),
        "faithfulness": _markup(faithfulness_curves(report)),
        "orders": [(name, arm_style(number)) for number, name in enumerate(orders(report))],
        "trade_offs": [Markup(chart) for chart in trade_offs(report)],
        "reliability": Markup(reliability_diagram(report) or ""),
        "class_tables": class_tables(report),
        "confusions": confusions(report),
        "further": further_tables(report),
        "gallery": show_gallery(report),
        "experiments": _experiments(report),
        "legend_bar": data_uri(np.repeat(palette()[None, ::4], 4, axis=0)),
        "opacity": OPACITY,
        "nan": float("nan"),
    }


def _experiments(report: Report) -> list[ShownExperiment]:
    return [
        show_experiment(experiment, f"-{number}" if number > 1 else "")
        for number, experiment in enumerate(report.experiments, 1)
    ]


def _markup(charts: Mapping[str, Sequence[str]]) -> dict[str, list[Markup]]:
    """Return charts as what needs no escaping."""
    return {name: [Markup(chart) for chart in of_name] for name, of_name in charts.items()}


def _script() -> str:
    """Return the page's script: all files in one scope of their own."""
    parts = [_read(f"scripts/{name}.js") for name in SCRIPTS]
    return "\n".join(['(() => {\n"use strict";', *parts, "})();"])


def _digest(script: str) -> str:
    """Return what the page's policy calls the one script that may run."""
    digest = hashlib.sha256(script.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()


def _read(name: str) -> str:
    return files(PACKAGE).joinpath(name).read_text(encoding="utf-8")
