"""Figures for papers: every chart of a report as PNG, SVG and PDF, with a file of captions."""

from __future__ import annotations

from collections.abc import Iterator

from ectool.reports.paper.curves import learning_curves, table_curves
from ectool.reports.paper.matrices import confusion_matrices, reliability_diagrams
from ectool.reports.paper.metrics import experiment_metrics, suite_metrics, trade_offs
from ectool.reports.paper.strengths import corruption_bars, strength_curves
from ectool.reports.paper.style import Draw, PaperFigure, paper_style, saved
from ectool.reports.report import Report

CAPTIONS_FILE = "captions.md"
FIGURES: tuple[Draw, ...] = (
    suite_metrics,
    trade_offs,
    strength_curves,
    corruption_bars,
    table_curves,
    reliability_diagrams,
    confusion_matrices,
    experiment_metrics,
    learning_curves,
)
"""What is drawn, in the order of the captions; each yields nothing where its numbers are not."""


def figures(report: Report) -> dict[str, bytes]:
    """Draw everything that the report has numbers for.

    The same report gives the same bytes with the same release of matplotlib.

    Args:
        report: What was measured.

    Returns:
        Files by name: three formats of each figure, and `captions.md`.
    """
    files: dict[str, bytes] = {}
    captions = []
    with paper_style():
        for drawing in drawings(report):
            files |= saved(drawing)
            captions.append(f"## {drawing.name}\n\n{drawing.caption}\n")
    return files | {CAPTIONS_FILE: "\n".join(["# Figures\n", *captions]).encode()}


def drawings(report: Report) -> Iterator[PaperFigure]:
    """Yield the figures one by one, not yet saved; inside of `paper_style`."""
    for draw in FIGURES if report.entries else ():
        yield from draw(report)
