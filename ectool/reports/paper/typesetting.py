"""Tables for papers as text: LaTeX (booktabs) and Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ectool.reports.numbers import ABSENT, MINUS, UPPER_BOUND_SIGN
from ectool.reports.paper.text import slug
from ectool.shown_text import visible

LATEX = {
    "\\": r"\textbackslash{}",
    **{letter: "\\" + letter for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    MINUS: "$-$",
    UPPER_BOUND_SIGN.strip(): r"$\leq$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "…": r"\ldots{}",
    "∞": r"$\infty$",
    "×": r"$\times$",
}
BREAK = re.compile(r"(?<=[/_.=,:])(?=\w)")
"""Places in a name after which a line may end."""
PIECE = re.compile(r"[^\s/_.=:-]*[\s/_.=:-]|[^\s/_.=:-]+")
"""Parts of a column's name that stay on one line."""
HEAD = 14
"""Maximum number of characters in a line of a column's name."""
TEXT_WIDTHS = {1: (0.2,), 2: (0.26, 0.16)}
"""Width of the columns of text by their number, as shares of the width of the page."""
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~&@$])")


@dataclass(frozen=True)
class TableCell:
    """A cell: text, interval, and whether the value is marked as significant."""

    text: str
    bounds: str = ""
    is_marked: bool = False


@dataclass(frozen=True)
class PaperTable:
    """A table.

    Attributes:
        name: Name of its file without the suffix.
        caption: Caption.
        head: Names of the columns.
        rows: Rows of cells, one cell for each column.
        texts: Number of columns of text, which come first. With two, an empty first cell repeats
            the text above.
    """

    name: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    texts: int = 1


def to_latex(table: PaperTable) -> str:
    """Return a floating LaTeX table, which needs the packages array and booktabs."""
    names = [_latex_head(name, number < table.texts) for number, name in enumerate(table.head)]
    widths = [f"p{{{width}\\linewidth}}" for width in TEXT_WIDTHS[table.texts]]
    texts = "".join(rf">{{\raggedright\arraybackslash}}{width}" for width in widths)
    return "\n".join(
        (
            r"% \usepackage{array,booktabs,textcomp}",
            r"\begin{table}",
            r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
            rf"\caption{{{latex(table.caption)}}}",
            rf"\label{{tab:{slug(table.name)}}}",
            rf"\begin{{tabular}}{{{texts}{'r' * (len(table.head) - table.texts)}}}",
            r"\toprule",
            " & ".join(names) + r" \\",
            r"\midrule",
            *_latex_lines(table),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        )
    )


def _latex_lines(table: PaperTable) -> Iterator[str]:
    """Yield the rows; with two columns of text, a space comes before each text in the first."""
    for number, row in enumerate(table.rows):
        if number and table.texts > 1 and row[0].text:
            yield r"\addlinespace"
        names = [_latex_name(cell.text) for cell in row[: table.texts]]
        yield " & ".join([*names, *map(_latex_cell, row[table.texts :])]) + r" \\"


def _latex_head(name: str, is_text: bool) -> str:
    """Return the name of a column; those of numbers are broken into short lines."""
    if is_text:
        return latex(name)
    shown = r" \\ ".join(map(latex, _short_lines(name)))
    return rf"\shortstack[r]{{{shown}}}"


def _short_lines(name: str) -> list[str]:
    """Break a name after spaces and separators into lines of at most `HEAD` characters."""
    lines = [""]
    for piece in PIECE.findall(" ".join(name.split())):
        if len((lines[-1] + piece).strip()) > HEAD and lines[-1].strip():
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines]


def _latex_name(name: str) -> str:
    """Return a name that may be broken after its separators."""
    return r"\allowbreak{}".join(map(latex, BREAK.split(name)))


def _latex_cell(cell: TableCell) -> str:
    text = latex("--" if cell.text == ABSENT else cell.text)
    strong = rf"\textbf{{{text}}}" if cell.is_marked else text
    return rf"{strong} {{\scriptsize {latex(cell.bounds)}}}" if cell.bounds else strong


def latex(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(LATEX.get(letter, letter) for letter in visible(" ".join(text.split())))


def to_markdown(table: PaperTable) -> str:
    """Return a Markdown table below its caption."""
    lines = [
        [markdown(name) for name in table.head],
        [*["---"] * table.texts, *["--:"] * (len(table.head) - table.texts)],
        *([_markdown_cell(cell) for cell in row] for row in table.rows),
    ]
    rows = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{markdown(table.caption)}\n\n{rows}\n"


def _markdown_cell(cell: TableCell) -> str:
    strong = f"**{markdown(cell.text)}**" if cell.is_marked else markdown(cell.text)
    return f"{strong} {markdown(cell.bounds)}" if cell.bounds else strong


def markdown(text: str) -> str:
    """Escape text for Markdown."""
    return MARKDOWN.sub(r"\\\1", visible(" ".join(text.split())))
