"""Tables for papers as text: LaTeX (booktabs) and Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ectool.reports.numbers import ABSENT, MINUS, UPPER_BOUND_SIGN
from ectool.reports.paper.text import slug

LATEX = {
    "\\": r"\textbackslash{}",
    **{letter: "\\" + letter for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    MINUS: "$-$",
    UPPER_BOUND_SIGN.strip(): r"$\leq$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "…": r"\ldots{}",
}
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~])")


@dataclass(frozen=True)
class TableCell:
    """A cell: text, interval, and whether the value is the best of its column."""

    text: str
    bounds: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class PaperTable:
    """A table.

    Attributes:
        name: Name of its file without the suffix.
        caption: Caption.
        head: Names of the columns.
        rows: Rows of cells, one cell for each column.
    """

    name: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[TableCell, ...], ...]


def to_latex(table: PaperTable) -> str:
    """Return a floating LaTeX table, which needs the package booktabs."""
    names, *lines = (
        " & ".join(cells) + r" \\"
        for cells in (
            [latex(name) for name in table.head],
            *([_latex_cell(cell) for cell in row] for row in table.rows),
        )
    )
    return "\n".join(
        (
            r"% \usepackage{booktabs,textcomp}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex(table.caption)}}}",
            rf"\label{{tab:{slug(table.name)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}",
            r"\toprule",
            names,
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        )
    )


def _latex_cell(cell: TableCell) -> str:
    text = latex("--" if cell.text == ABSENT else cell.text)
    strong = rf"\textbf{{{text}}}" if cell.is_best else text
    return rf"{strong} {{\scriptsize {latex(cell.bounds)}}}" if cell.bounds else strong


def latex(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(LATEX.get(letter, letter) for letter in " ".join(text.split()))


def to_markdown(table: PaperTable) -> str:
    """Return a Markdown table below its caption."""
    lines = [
        [markdown(name) for name in table.head],
        ["---", *["--:"] * (len(table.head) - 1)],
        *([_markdown_cell(cell) for cell in row] for row in table.rows),
    ]
    rows = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{markdown(table.caption)}\n\n{rows}\n"


def _markdown_cell(cell: TableCell) -> str:
    strong = f"**{markdown(cell.text)}**" if cell.is_best else markdown(cell.text)
    return f"{strong} {markdown(cell.bounds)}" if cell.bounds else strong


def markdown(text: str) -> str:
    """Escape text for Markdown."""
    return MARKDOWN.sub(r"\\\1", " ".join(text.split()))
