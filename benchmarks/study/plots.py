"""Plots of a study: all arms of a cell, and the arms of several cells along one axis."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ectool.reports.paper.style import COLOURS, DASHES, MARKERS, PAGE, paper_style

SHOWN = {
    "accuracy@mixed_rand": "accuracy on\nrandom backgrounds, %",
    "background_gap": "background gap,\npoints",
    "robust@2/255": "robust accuracy,\nPGD, 2/255, %",
    "energy_inside": "heatmap energy\non the object, %",
}
ROLE_COLOURS = {
    "reference": "#000000",
    "rival": COLOURS[1],
    "control": COLOURS[4],
    "upper bound": COLOURS[3],
    "ours": COLOURS[0],
}
AXES = {
    "rho": "share of training images on the background of their class",
    "fraction": "share of the training images",
}
MIN_ARMS = 6
"""Minimum number of arms of a cell with a plot of its own."""
Cell = Mapping[str, Any]


def draw(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw all plots of a study into a folder; return their files."""
    folder.mkdir(exist_ok=True)
    roles = {name: arm["role"] for name, arm in document["arms"].items()}
    with paper_style():
        figures = {
            f"arms-{name}": arms_of(name, cell, roles)
            for name, cell in document["cells"].items()
            if len(cell["arms"]) >= MIN_ARMS
        }
        cells = [cell for cell in document["cells"].values() if cell["arms"]]
        shown = {*document["main"], *(cell["strongest_rival"] for cell in cells)}
        for axis, label in AXES.items():
            if lines := along(cells, axis):
                figures[axis] = curves(lines, axis, label, shown)
        return [_save(figure, folder / f"{name}.png") for name, figure in figures.items()]


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=150, metadata={"Software": None})
    return path


def arms_of(title: str, cell: Cell, roles: Mapping[str, str]) -> Figure:
    """Draw every arm of a cell: all seeds, and the mean with its interval."""
    order = list(roles)
    names = sorted(cell["arms"], key=order.index, reverse=True)
    figure = Figure(figsize=(PAGE, 1.1 + 0.2 * len(names)))
    for axes, (metric, label) in zip(
        figure.subplots(1, len(SHOWN), sharey=True), SHOWN.items(), strict=True
    ):
        for row, name in enumerate(names):
            arm = cell["arms"][name]
            if metric in arm["summary"]:
                _dots(axes, row, arm, metric, ROLE_COLOURS[roles[name]])
        axes.set_title(label)
        axes.set_yticks(range(len(names)), names)
    figure.suptitle(f"{title}: mean with 95 % interval, and every seed", fontsize=8)
    shown = dict.fromkeys(roles[name] for name in reversed(names))
    handles = [Line2D([], [], marker="o", color=ROLE_COLOURS[role], label=role) for role in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _dots(axes: Axes, row: int, arm: Mapping[str, Any], metric: str, colour: str) -> None:
    values, found = arm["runs"][metric].values(), arm["summary"][metric]
    axes.plot([100 * v for v in values], [row] * len(values), "|", color=colour, alpha=0.5)
    mean = 100 * found["mean"]
    axes.plot(mean, row, "o", color=colour)
    if found["low"] is not None:
        low, high = limits(found)
        axes.plot([low, high], [row, row], "-", color=colour, linewidth=0.8)


def limits(found: Mapping[str, Any]) -> tuple[float, float]:
    """Return the interval in percent, within what a share can be."""
    return max(-100.0, 100 * found["low"]), min(100.0, 100 * found["high"])


def along(cells: Sequence[Cell], axis: str) -> dict[str, list[tuple[float, Cell]]]:
    """Return the cells that differ in one fact alone, by the other facts, two or more.

    The line of other facts with the most cells comes first.
    """
    found: dict[str, list[tuple[float, Cell]]] = {}
    for cell in cells:
        facts = {key: value for key, value in cell["facts"].items() if key != axis}
        others = ", ".join(f"{k} {v}" if k in AXES else str(v) for k, v in facts.items())
        found.setdefault(others, []).append((cell["facts"][axis], cell))
    several = {name: sorted(c, key=lambda p: p[0]) for name, c in found.items() if len(c) > 1}
    return dict(sorted(several.items(), key=lambda item: -len(item[1])))


def curves(
    lines: Mapping[str, list[tuple[float, Cell]]], axis: str, label: str, arms: Collection[str]
) -> Figure:
    """Draw metrics of some arms along an axis, one row of panels for each series of cells."""
    figure = Figure(figsize=(PAGE, 0.4 + 1.9 * len(lines)))
    grid = figure.subplots(len(lines), len(SHOWN), squeeze=False)
    for panels, (title, cells) in zip(grid, lines.items(), strict=True):
        common = [name for name in arms if all(name in cell["arms"] for _, cell in cells)]
        for axes, (metric, name) in zip(panels, SHOWN.items(), strict=True):
            _curve(axes, cells, sorted(common), metric)
            axes.set_title(name)
            axes.set_xlabel(axis)
        panels[0].set_ylabel(title.replace(", ", "\n"))
    handles, names = grid[0][0].get_legend_handles_labels()
    title = f"{axis}: {label}; dashes: worst seed"
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), title=title)
    return figure


def _curve(
    axes: Axes, cells: Sequence[tuple[float, Cell]], names: Sequence[str], metric: str
) -> None:
    for number, name in enumerate(names):
        points = [(x, s) for x, c in cells if (s := c["arms"][name]["summary"].get(metric))]
        axes.plot(
            [x for x, _ in points],
            [100 * found["mean"] for _, found in points],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            linestyle=DASHES[number % len(DASHES)],
            label=name,
        )
        worst = [100 * found["worst"] for _, found in points]
        axes.plot([x for x, _ in points], worst, "_", color=COLOURS[number % len(COLOURS)])
