"""Figures for papers as PNG, SVG and PDF, with a file of captions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ectool.reports.paper.curves import learning_curves, table_curves
from ectool.reports.paper.differences import difference_figures
from ectool.reports.paper.matrices import confusion_matrices, reliability_diagrams
from ectool.reports.paper.metrics import experiment_metrics, suite_metrics, trade_offs
from ectool.reports.paper.strengths import corruption_bars, strength_curves
from ectool.reports.paper.style import PaperFigure, file_contents, paper_style
from ectool.reports.report import Report

CAPTIONS_FILE = "captions.md"
FIGURES: tuple[Callable[[Report], Iterator[PaperFigure]], ...] = (
    suite_metrics,
    trade_offs,
    strength_curves,
    corruption_bars,
    table_curves,
    reliability_diagrams,
    confusion_matrices,
    experiment_metrics,
    difference_figures,
    learning_curves,
)
"""Functions that draw figures, in the order of the captions. Without results they yield nothing."""


def figures(report: Report) -> dict[str, bytes]:
    """Draw all figures of a report.

    Equal reports give equal bytes with the same release of matplotlib.

    Args:
        report: The report.

    Returns:
        Files by name: three formats of each figure, and `captions.md`.
    """
    files: dict[str, bytes] = {}
    captions = []
    with paper_style():
        for figure in draw_figures(report):
            files |= file_contents(figure)
            captions.append(f"## {figure.name}\n\n{figure.caption}\n")
    return files | {CAPTIONS_FILE: "\n".join(["# Figures\n", *captions]).encode()}


def draw_figures(report: Report) -> Iterator[PaperFigure]:
    """Yield the figures one by one; requires `paper_style`."""
    for draw in FIGURES if report.entries else ():
        yield from draw(report)
