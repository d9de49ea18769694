"""The style of figures for papers: sizes, colours, fonts, and files that are the same each time."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ectool.reports.leaderboard import group_numbers
from ectool.reports.report import Entry, Report

COLUMN, PAGE = 3.5, 7.16
"""Width of a column and of two in inches, as most journals of two columns have them."""
MAX_HEIGHT = 9.0
"""Height in inches that still leaves room for a caption."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's colours, which colour-blind people can tell apart; yellow is lost on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
INK, FAINT = "#333333", "#d9d9d9"
SHOWN = len(COLOURS)
"""Models told apart by colour, marker and dashes; more in one chart cannot be."""
UPRIGHT = 2
"""Characters of names up to which they stand side by side along an axis."""
MAX_NAME, MAX_TITLE = 44, 28
"""Characters of a model's name in a figure, and over a panel; of longer ones the middle is left
out."""

STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "legend.fontsize": 7,
        "figure.constrained_layout.use": True,
        "axes.linewidth": 0.6,
        "axes.edgecolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": FAINT,
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.1,
        "lines.markersize": 4,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "legend.frameon": False,
        "text.parse_math": False,  # names may hold dollar signs
        "savefig.dpi": 300,
        "pdf.fonttype": 42,  # TrueType, which publishers ask for
        "svg.fonttype": "path",  # no font has to be there
        "svg.hashsalt": "ectool",
    }
)
NO_METADATA: Mapping[str, Mapping[str, None]] = MappingProxyType(
    {
        "png": {"Software": None},
        "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
        "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
    }
)
"""What each format would say of time and program, by its suffix: nothing."""


@dataclass(frozen=True)
class PaperFigure:
    """A figure and what is written below it.

    Attributes:
        name: Its file, without the suffix.
        caption: What is seen, with the number of samples and the kind of interval.
        figure: The figure.
    """

    name: str
    caption: str
    figure: Figure


Draw = Callable[[Report], Iterator[PaperFigure]]


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw and save in the style of papers, whatever the user's own matplotlibrc says."""
    with style.context(["default", dict(STYLE)]):
        yield


def saved(drawing: PaperFigure) -> dict[str, bytes]:
    """Return a drawing as PNG, SVG and PDF by file name; inside of `paper_style`."""
    files = {}
    for suffix, metadata in NO_METADATA.items():
        buffer = io.BytesIO()
        drawing.figure.savefig(buffer, format=suffix, metadata=dict(metadata))
        files[f"{drawing.name}.{suffix}"] = buffer.getvalue()
    return files


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches."""
    return Figure(figsize=(width, min(height, MAX_HEIGHT)))


def panels(
    count: int, *, height: float = 2.2, per_row: int = 3, share_y: bool = True
) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels: a column wide for one, else the page."""
    columns = min(count, per_row)
    rows = -(-count // columns)
    figure = blank(COLUMN if columns == 1 else PAGE, height * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=share_y)
    for unused in grid.flat[count:]:
        unused.set_visible(False)
    return figure, list(grid.flat[:count])


def model_styles(report: Report) -> list[dict[str, Any]]:
    """Return the look of each model's points and lines; models of one group share theirs.

    Beyond `SHOWN` groups there are no other styles: these models are not told apart.
    """
    known = [
        {"color": colour, "marker": marker, "linestyle": DASHES[number % len(DASHES)]}
        for number, (colour, marker) in enumerate(zip(COLOURS, MARKERS, strict=True))
    ]
    numbers = group_numbers(report)
    return [
        known[number] if (number := numbers[entry.group]) < SHOWN else {}
        for entry in report.entries
    ]


def shown(report: Report) -> dict[str, tuple[dict[str, Any], list[Entry]]]:
    """Return the groups that curves are drawn of, each with its look and its models."""
    found: dict[str, tuple[dict[str, Any], list[Entry]]] = {}
    for entry, look in zip(report.entries, model_styles(report), strict=True):
        if look:
            found.setdefault(entry.group, (look, []))[1].append(entry)
    return found


def left_out(report: Report) -> str:
    """Return what a caption says where curves are not drawn of all models."""
    count = len(group_numbers(report))
    return f" The first {SHOWN} of {count} models." if count > SHOWN else ""


def legend(figure: Figure, axes: Axes) -> None:
    """Name the lines of an axes below the figure, in as many columns as fit; one needs no name."""
    named = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if len(named) < 2:
        return
    letters = figure.get_figwidth() * 15  # of 7 points, to an inch
    columns = max(1, min(len(named), int(letters // (max(map(len, named)) + 7))))
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns)


def name_rows(grid: Sequence[Axes], label: str) -> None:
    """Name the vertical axis of the first panel of each row, which the others share."""
    for axes in grid:
        place = axes.get_subplotspec()
        if place is None or place.is_first_col():
            axes.set_ylabel(label)


def name_columns(axes: Axes, names: Sequence[str]) -> None:
    """Name what stands side by side along an axis; long names aslant."""
    if max(map(len, names), default=0) <= UPRIGHT:
        axes.set_xticks(range(len(names)), names)
    else:
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")


def shortened(name: str, longest: int = MAX_NAME) -> str:
    """Leave out the middle of a name that is too long for its place."""
    half = longest // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half + 1 :]}"
