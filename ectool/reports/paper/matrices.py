"""Figures of calibration and of confusion matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ectool.reports.classes import Confusion, confusions
from ectool.reports.evaluation import Row
from ectool.reports.paper.style import (
    COLOURS,
    COLUMN,
    INK,
    MAX_TITLE,
    PAGE,
    PaperFigure,
    blank,
    name_columns,
    name_rows,
    panels,
    shortened,
)
from ectool.reports.paper.text import sizes, slugs
from ectool.reports.plotting import whiskers
from ectool.reports.report import Report
from ectool.wilson import normal_quantile, wilson_bounds

PER_FIGURE = 6
"""Reliability diagrams in one figure."""
HEIGHT = 2.6
"""Height of a row of diagrams in inches; three diagrams in a row are squares."""
NUMBERED = 12
"""Maximum number of classes of a matrix with numbers in its cells."""
NAMED = 40
"""Maximum number of classes of a matrix with class names."""
CONFIDENCE = 0.95
"""Nominal probability of the whiskers."""


def reliability_diagrams(report: Report) -> Iterator[PaperFigure]:
    """Draw accuracy over confidence for each model, six in a figure."""
    found = [
        (entry.name, rows)
        for entry in report.entries
        if (rows := [r for r in entry.evaluation.tables.get("reliability", ()) if r["n"]])
    ]
    for number, first in enumerate(range(0, len(found), PER_FIGURE), start=1):
        part = found[first : first + PER_FIGURE]
        figure, grid = panels(len(part), height=HEIGHT)
        for axes, (name, rows) in zip(grid, part, strict=True):
            _reliability(axes, shortened(name, MAX_TITLE), rows)
        name_rows(grid, "%")
        counts = [sum(row["n"] for row in rows) for _, rows in part]
        yield PaperFigure(
            "reliability" + (f"-{number}" if len(found) > PER_FIGURE else ""),
            "Dots: accuracy of the images of each bin of confidence, at their mean confidence; "
            f"whiskers: 95 % Wilson intervals. Bars: share of the {sizes(counts)} images in each "
            "bin. On the diagonal, accuracy equals confidence.",
            figure,
        )


def _reliability(axes: Axes, name: str, rows: Sequence[Row]) -> None:
    n, low, high, confidence, accuracy = (
        np.array([row[key] for row in rows], np.float64)
        for key in ("n", "low", "high", "confidence", "accuracy")
    )
    axes.bar(
        low * 100,
        n / n.sum() * 100,
        (high - low) * 100,
        align="edge",
        color="#d0d0d0",
        edgecolor="white",
        linewidth=0.4,
    )
    axes.plot((0, 100), (0, 100), color=INK, linewidth=0.6, linestyle=(0, (3, 3)))
    z = normal_quantile(CONFIDENCE)
    ends = [wilson_bounds(share, count, z) for share, count in zip(accuracy, n, strict=True)]
    bounds = np.array(ends).T * 100
    reach = whiskers(accuracy * 100, *bounds)
    axes.errorbar(confidence * 100, accuracy * 100, reach, color=COLOURS[0], fmt="o-", ms=3, lw=0.8)
    axes.set(xlim=(0, 100), ylim=(0, 101), xlabel="confidence, %", title=name, aspect="equal")


def confusion_matrices(report: Report) -> Iterator[PaperFigure]:
    """Draw the confusion matrix of each model as shares of the true classes."""
    found = confusions(report)
    for name, one in zip(slugs([one.model for one in found]), found, strict=True):
        counts = np.array(one.counts, np.float64)
        yield PaperFigure(
            f"confusion-{name}",
            f"{one.model}: share of the images of each class (rows) that are predicted as "
            f"each class (columns), in %; {sizes([int(counts.sum())])} images.",
            _matrix(one, counts),
        )


def _matrix(confusion: Confusion, counts: Float[np.ndarray, "c c"]) -> Figure:
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    classes = len(confusion.classes)
    width = COLUMN if classes <= NUMBERED else PAGE
    figure = blank(width, width * 0.9)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=100, interpolation="nearest")
    axes.grid(visible=False)
    axes.set(
        xlabel="predicted class",
        ylabel="true class",
        title=shortened(confusion.model, MAX_TITLE),
    )
    names = [shortened(name) for name in confusion.classes] if classes <= NAMED else []
    name_columns(axes, names)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    figure.colorbar(image, label="share of the true class, %", shrink=0.8)
    if classes <= NUMBERED:
        _write_numbers(axes, shares)
    return figure


def _write_numbers(axes: Axes, shares: Float[np.ndarray, "c c"]) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if share > 0:
            colour = "black" if share > 50 else "white"
            axes.text(column, row, f"{share:.0f}", color=colour, ha="center", va="center", size=6)
