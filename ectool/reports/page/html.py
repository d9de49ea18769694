"""The page: one HTML file that makes no request to any server."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ectool.reports import numbers
from ectool.reports.page.sections import (
    OVERVIEW,
    SECTIONS,
    ExperimentSection,
    Opens,
    Section,
    Variables,
)
from ectool.reports.report import Report
from ectool.shown_text import visible

PACKAGE = "ectool.reports.page"
TEMPLATE = "page.html.jinja"
SCRIPTS = (
    *("state", "theme", "parts", "tables", "leaderboard", "drawing", "gallery", "sample"),
    "page",
)
"""Files of the page's script, in their order. The page shows all numbers without the script."""


BREAK = re.compile(r"([/_.=,:])(?=\w)")
"""Separators in names of models after which a line may end."""


@dataclass(frozen=True)
class RenderedSection:
    """A section with its body as HTML, and when it is open at first."""

    anchor: str
    title: str
    body: Markup
    opens: Opens

    @property
    def is_fixed(self) -> bool:
        """Whether the section cannot be closed."""
        return self.anchor == OVERVIEW


def render(report: Report, meta: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the page of a report.

    Args:
        report: The report.
        meta: Content of the page's meta tags by name, without the prefix `ectool-`.
    """
    environment = _environment()
    script = _script()
    return (
        environment.get_template(TEMPLATE).render(
            report=report,
            meta=meta,
            sections=list(_sections(report, environment)),
            style=Markup(_read("templates/style.css")),
            script=Markup(script),
            script_digest=_digest(script),
        )
        + "\n"
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(PACKAGE, "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_finalize,
    )
    environment.filters |= {
        "quantity": numbers.quantity,
        "bounds": numbers.bounds,
        "mark": numbers.mark,
        "p_value": numbers.p_value,
        "plain": numbers.plain,
        "table_value": numbers.table_value,
        "breakable": breakable,
    }
    return environment


def _finalize(value: object) -> object:
    """Return a value of a template without control characters; HTML is made of escaped values."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return visible(str(value), "\n") if is_text else value


def breakable(name: str) -> Markup:
    """Return a name that may be broken after its separators, and not inside a word."""
    return Markup(BREAK.sub(r"\1<wbr>", str(escape(visible(name)))))


def _sections(report: Report, environment: Environment) -> Iterator[RenderedSection]:
    """Render the sections that have content; the first below the overview is open."""
    is_first = True
    for section in SECTIONS:
        for anchor, title, variables in _instances(section, report):
            if variables:
                template = environment.get_template(f"sections/{section.name}.jinja")
                body = Markup(template.render(variables))
                yield RenderedSection(anchor, title, body, "always" if is_first else section.opens)
                is_first = is_first and anchor == OVERVIEW


def _instances(
    section: Section | ExperimentSection, report: Report
) -> Iterator[tuple[str, str, Variables]]:
    """Yield anchor, title and variables: once, or for each experiment."""
    if isinstance(section, Section):
        yield section.name, section.title, section.content(report)
        return
    for number, experiment in enumerate(report.experiments, 1):
        suffix = f"-{number}" if number > 1 else ""
        title = f"{section.title}: {experiment.title}"
        yield (
            section.name + suffix,
            title if len(report.experiments) > 1 else section.title,
            section.content(report, experiment, suffix),
        )


def _script() -> str:
    """Return the page's script: all files in one scope."""
    parts = [_read(f"scripts/{name}.js") for name in SCRIPTS]
    return "\n".join(['(() => {\n"use strict";', *parts, "})();"])


def _digest(script: str) -> str:
    """Return the digest by which the page's policy allows the script."""
    digest = hashlib.sha256(script.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()


def _read(name: str) -> str:
    return files(PACKAGE).joinpath(name).read_text(encoding="utf-8")
