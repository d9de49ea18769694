"""Style of figures for papers: sizes, colours, fonts, and reproducible files."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ectool.reports.leaderboard import group_numbers
from ectool.reports.report import EvaluatedModel, Report

COLUMN, PAGE = 3.5, 7.16
"""Width of one column and of two columns of a journal, in inches."""
MAX_HEIGHT = 9.0
"""Maximum height of a figure in inches, which leaves room for a caption."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Colours of Okabe and Ito for colour-blind readers, without yellow, which is faint on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
INK, FAINT = "#333333", "#d9d9d9"
MAX_SHOWN = len(COLOURS)
"""Maximum number of groups of models in one chart, one colour each."""
UPRIGHT = 2
"""Maximum number of characters of horizontal tick labels; longer labels are rotated."""
MAX_NAME, MAX_TITLE = 44, 28
"""Maximum number of characters of a name in a figure, and of a panel's title."""

STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "font.family": "DejaVu Sans",  # part of matplotlib: the same on every machine
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
        "text.parse_math": False,  # names may contain dollar signs
        "savefig.dpi": 300,
        "pdf.fonttype": 42,  # TrueType, which publishers require
        "svg.fonttype": "path",  # needs no installed font
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
"""Metadata to remove from each format: time and program."""
_CLIP = re.compile(rb'(url\(#|<clipPath id=")(p[0-9a-f]+)')


@dataclass(frozen=True)
class PaperFigure:
    """A figure with its caption.

    Attributes:
        name: Name of its files without the suffix.
        caption: Caption, with the number of samples and the kind of interval.
        figure: The figure.
    """

    name: str
    caption: str
    figure: Figure


@contextmanager
def paper_style() -> Iterator[None]:
    """Set the style of papers, independent of the user's matplotlibrc."""
    with style.context(["default", dict(STYLE)]):
        yield


def file_contents(figure: PaperFigure) -> dict[str, bytes]:
    """Return a figure as PNG, SVG and PDF by file name; requires `paper_style`."""
    files = {}
    for suffix, metadata in NO_METADATA.items():
        buffer = io.BytesIO()
        figure.figure.savefig(buffer, format=suffix, metadata=dict(metadata))
        files[f"{figure.name}.{suffix}"] = buffer.getvalue()
    drawing = f"{figure.name}.svg"
    return files | {drawing: with_numbered_clips(files[drawing])}


def with_numbered_clips(drawing: bytes) -> bytes:
    """Return an SVG whose clipping paths are numbered.

    Their names are hashes of coordinates, whose last bits depend on the order in which the layout
    is solved, and this on addresses in memory.
    """
    numbers: dict[bytes, bytes] = {}

    def numbered(found: re.Match[bytes]) -> bytes:
        return found[1] + numbers.setdefault(found[2], b"clip%d" % len(numbers))

    return _CLIP.sub(numbered, drawing)


def blank(width: float, height: float) -> Figure:
    """Return an empty figure; sizes in inches."""
    return Figure(figsize=(width, min(height, MAX_HEIGHT)))


def panels(
    count: int, *, height: float = 2.2, per_row: int = 3, share_y: bool = True
) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels: one panel is a column wide, more span the page."""
    columns = min(count, per_row)
    rows = -(-count // columns)
    figure = blank(COLUMN if columns == 1 else PAGE, height * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=share_y)
    for unused in grid.flat[count:]:
        unused.set_visible(False)
    return figure, list(grid.flat[:count])


def model_styles(report: Report) -> list[dict[str, Any]]:
    """Return the style of each model's points and lines; models of one group share a style.

    Groups after the first `MAX_SHOWN` have an empty style.
    """
    known = [
        {"color": colour, "marker": marker, "linestyle": DASHES[number % len(DASHES)]}
        for number, (colour, marker) in enumerate(zip(COLOURS, MARKERS, strict=True))
    ]
    numbers = group_numbers(report)
    return [
        known[number] if (number := numbers[entry.group]) < MAX_SHOWN else {}
        for entry in report.entries
    ]


def shown_groups(report: Report) -> dict[str, tuple[dict[str, Any], list[EvaluatedModel]]]:
    """Return style and models of each group that is drawn as a curve."""
    found: dict[str, tuple[dict[str, Any], list[EvaluatedModel]]] = {}
    for entry, model_style in zip(report.entries, model_styles(report), strict=True):
        if model_style:
            found.setdefault(entry.group, (model_style, []))[1].append(entry)
    return found


def omission_note(report: Report) -> str:
    """Return the sentence of a caption for charts that leave models out."""
    count = len(group_numbers(report))
    return f" The first {MAX_SHOWN} of {count} models." if count > MAX_SHOWN else ""


def legend(figure: Figure, axes: Axes) -> None:
    """Add a legend below the figure, unless the axes has only one name."""
    named = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if len(named) < 2:
        return
    letters = figure.get_figwidth() * 15  # letters of 7 points per inch
    columns = max(1, min(len(named), int(letters // (max(map(len, named)) + 7))))
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns)


def name_rows(grid: Sequence[Axes], label: str) -> None:
    """Label the vertical axis of the first panel of each row."""
    for axes in grid:
        place = axes.get_subplotspec()
        if place is None or place.is_first_col():
            axes.set_ylabel(label)


def name_columns(axes: Axes, names: Sequence[str]) -> None:
    """Set the tick labels of the horizontal axis; long labels are rotated."""
    if max(map(len, names), default=0) <= UPRIGHT:
        axes.set_xticks(range(len(names)), names)
    else:
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")


def shortened(name: str, longest: int = MAX_NAME) -> str:
    """Shorten a long name in the middle."""
    half = longest // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half + 1 :]}"
