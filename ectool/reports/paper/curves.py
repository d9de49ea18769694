"""Figures of curves: faithfulness and sanity of each model, learning curves of each experiment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ectool.reports.content import ExperimentResults
from ectool.reports.evaluation import Row, interval_of
from ectool.reports.paper.style import (
    COLOURS,
    DASHES,
    INK,
    MARKERS,
    PaperFigure,
    legend,
    model_styles,
    name_columns,
    name_rows,
    panels,
    shortened,
)
from ectool.reports.paper.text import IMAGES, over_seeds, prefixes, sizes, slugs
from ectool.reports.plotting import mean_line, percents
from ectool.reports.report import Report
from ectool.reports.training_records import CURVES, history_lines

PERCENT = "%"


@dataclass(frozen=True)
class TableCurves:
    """How the lines of a table become curves, a figure per model.

    Attributes:
        name: Prefix of the file names.
        table: Name of the table, whose lines hold a value with its interval and n.
        panel: Key of the panel.
        curve: Key of the curve.
        x: Key of the position: a share, or a name in the order of the table.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        caption: Caption.
    """

    name: str
    table: str
    panel: str
    curve: str
    x: str
    x_label: str
    y_label: str
    caption: str


TABLES = (
    TableCurves(
        "faithfulness",
        "faithfulness_curves",
        panel="curve",
        curve="maps",
        x="share",
        x_label="pixels changed, %",
        y_label=PERCENT,
        caption="Probability of the explained class (ROAD: accuracy) by share of pixels changed. "
        "The order of the pixels is that of the heatmaps (method) or of two controls: random "
        "values, and a spot in the centre.",
    ),
    TableCurves(
        "sanity",
        "sanity",
        panel="similarity",
        curve="mode",
        x="layer",
        x_label="randomised layer, from the head on",
        y_label="similarity",
        caption="Similarity of the heatmaps before and after layers are randomised, each layer "
        "alone (independent) or with all layers after it (cascading).",
    ),
)


def table_curves(report: Report) -> Iterator[PaperFigure]:
    """Draw the curves of tables, a figure for each model."""
    names = slugs([entry.name for entry in report.entries])
    for kind in TABLES:
        for name, entry in zip(names, report.entries, strict=True):
            if rows := entry.evaluation.tables.get(kind.table, ()):
                figure = _figure(kind, rows, report)
                yield PaperFigure(f"{kind.name}-{name}", _caption(kind, entry.name, rows), figure)


def _caption(kind: TableCurves, model: str, rows: Sequence[Row]) -> str:
    intervals = IMAGES.format(sizes([row["n"] for row in rows]))
    return f"{model}. {kind.caption} Bands: {intervals}."


def _figure(kind: TableCurves, rows: Sequence[Row], report: Report) -> Figure:
    titles = list(dict.fromkeys(row[kind.panel] for row in rows))
    figure, grid = panels(len(titles))
    for axes, title in zip(grid, titles, strict=True):
        _curves(axes, kind, [row for row in rows if row[kind.panel] == title])
        axes.set_title(report.label(title))
    name_rows(grid, kind.y_label)
    legend(figure, grid[0])
    return figure


def _curves(axes: Axes, kind: TableCurves, rows: Sequence[Row]) -> None:
    curves = dict.fromkeys(row[kind.curve] for row in rows)
    ticks = list(dict.fromkeys(row[kind.x] for row in rows))
    is_named = isinstance(ticks[0], str)
    for number, curve in enumerate(curves):
        points = [row for row in rows if row[kind.curve] == curve]
        x = [ticks.index(p[kind.x]) if is_named else 100 * p[kind.x] for p in points]
        value, low, high = percents(
            [interval_of(point) for point in points], kind.y_label == PERCENT
        )
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        marker = MARKERS[number % len(MARKERS)] if len(points) <= 12 else ""
        label = str(curve).replace("_", " ")
        axes.plot(x, value, color=colour, linestyle=dash, marker=marker, label=label)
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_xlabel(kind.x_label)
    if is_named:
        name_columns(axes, ticks)


def learning_curves(report: Report) -> Iterator[PaperFigure]:
    """Draw what was measured during training, for each arm."""
    for prefix, experiment in zip(prefixes(report), report.experiments, strict=True):
        measured = [c for c in CURVES if any(history_lines(arm, c[0]) for arm in experiment.arms)]
        if not measured:
            continue
        figure, grid = panels(len(measured), share_y=False)
        for axes, (key, title, is_share) in zip(grid, measured, strict=True):
            _learning(axes, report, experiment, key, 100 if is_share else 1)
            axes.set(title=title, xlabel="epoch", ylim=(0, 100) if is_share else (0, None))
        legend(figure, grid[0])
        seeds = len(experiment.seeds)
        yield PaperFigure(
            f"{prefix}learning-curves",
            f"Thick: mean over n = {seeds} seeds; thin: single seeds. "
            "Dotted: end of the warm-up, which all arms share.",
            figure,
        )


def _learning(
    axes: Axes, report: Report, experiment: ExperimentResults, key: str, factor: int
) -> None:
    """Draw one measure of every arm, up to the last epoch of all its seeds."""
    styles = model_styles(over_seeds(report, experiment))
    for arm, style in zip(experiment.arms, styles, strict=True):
        lines = history_lines(arm, key) if style else []
        if not lines:
            continue
        plain = {**style, "marker": ""}
        for x, y in lines if len(lines) > 1 else ():
            axes.plot(x, y * factor, **plain, linewidth=0.5, alpha=0.4)
        x, mean = mean_line(lines)
        axes.plot(x, mean * factor, **plain, label=shortened(arm.name))
    axes.axvline(experiment.warmup_epochs, color=INK, linewidth=0.6, linestyle=":")
