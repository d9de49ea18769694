"""Curves of one model: its heatmaps beside others, as the tables of an evaluation hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ectool.reports.content import Experiment
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
    """How the lines of a table become curves, drawn for each model on its own.

    Attributes:
        name: How its files begin.
        table: Name of the table; each line holds a value with its interval and n.
        panel: Key of what has a panel of its own.
        curve: Key of what has a curve of its own.
        x: Key of the position: a share, or a name in the order of the table.
        across: Name of the horizontal axis.
        up: Name of the vertical one.
        caption: What is seen.
    """

    name: str
    table: str
    panel: str
    curve: str
    x: str
    across: str
    up: str
    caption: str


TABLES = (
    TableCurves(
        "faithfulness",
        "faithfulness_curves",
        panel="curve",
        curve="maps",
        x="share",
        across="pixels changed, %",
        up=PERCENT,
        caption="Probability of the explained class, of ROAD the accuracy, while pixels change in "
        "the order of the model's heatmaps, and of two maps that know nothing of the model: "
        "random values, and a spot in the centre.",
    ),
    TableCurves(
        "sanity",
        "sanity",
        panel="similarity",
        curve="mode",
        x="layer",
        across="layer drawn anew, from the head on",
        up="similarity",
        caption="Similarity of the heatmaps to those of the network whose layers have been drawn "
        "anew, each on its own or with all layers after it.",
    ),
)


def table_curves(report: Report) -> Iterator[PaperFigure]:
    """Draw the curves that tables hold, a figure for each model."""
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
    name_rows(grid, kind.up)
    legend(figure, grid[0])
    return figure


def _curves(axes: Axes, kind: TableCurves, rows: Sequence[Row]) -> None:
    curves = dict.fromkeys(row[kind.curve] for row in rows)
    ticks = list(dict.fromkeys(row[kind.x] for row in rows))
    is_named = isinstance(ticks[0], str)
    for number, curve in enumerate(curves):
        points = [row for row in rows if row[kind.curve] == curve]
        x = [ticks.index(p[kind.x]) if is_named else 100 * p[kind.x] for p in points]
        value, low, high = percents([interval_of(point) for point in points], kind.up == PERCENT)
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        marker = MARKERS[number % len(MARKERS)] if len(points) <= 12 else ""
        label = str(curve).replace("_", " ")
        axes.plot(x, value, color=colour, linestyle=dash, marker=marker, label=label)
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_xlabel(kind.across)
    if is_named:
        name_columns(axes, ticks)


def learning_curves(report: Report) -> Iterator[PaperFigure]:
    """Draw what was measured while training, arm by arm."""
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
            "Dotted: end of the warm-up, which the arms share.",
            figure,
        )


def _learning(axes: Axes, report: Report, experiment: Experiment, key: str, factor: int) -> None:
    """Draw one measure of every arm, up to the epoch that all its seeds have reached."""
    looks = model_styles(over_seeds(report, experiment))
    for arm, look in zip(experiment.arms, looks, strict=True):
        lines = history_lines(arm, key) if look else []
        if not lines:
            continue
        plain = {**look, "marker": ""}
        for x, y in lines if len(lines) > 1 else ():
            axes.plot(x, y * factor, **plain, linewidth=0.5, alpha=0.4)
        x, mean = mean_line(lines)
        axes.plot(x, mean * factor, **plain, label=shortened(arm.name))
    axes.axvline(experiment.warmup_epochs, color=INK, linewidth=0.6, linestyle=":")
