"""LaTeX and Markdown: every special character is escaped."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ectool.reports.paper.typesetting import (
    HEAD,
    LATEX,
    PaperTable,
    TableCell,
    _short_lines,
    latex,
    markdown,
    to_latex,
    to_markdown,
)
from ectool.shown_text import visible


def test_missing_values_are_dashes():
    table = PaperTable("t", "c", ("model", "x"), ((TableCell("a"), TableCell("-")),))
    assert "a & -- \\\\\n" in to_latex(table)
    assert "| a | - |" in to_markdown(table)


@settings(max_examples=40)
@given(st.text())
def test_latex_holds_no_special_letter_by_itself(text):
    found = latex(text)
    for shown in LATEX.values():
        found = found.replace(shown, "")
    assert not set(found) & set('\\&%$#_{}~^<>|"')
    assert "\n" not in found


@settings(max_examples=40)
@given(st.text())
def test_markdown_can_be_read_back(text):
    found = markdown(text)
    assert re.sub(r"\\(.)", r"\1", found) == visible(" ".join(text.split()))
    assert re.search(r"(?<!\\)(\\\\)*[|*_`<\[]", found) is None


@settings(max_examples=40)
@given(st.text("ab /-_", max_size=60))
def test_heads_are_broken_between_their_parts_and_lose_nothing(text):
    lines = _short_lines(text)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    for line in lines:
        assert len(line) <= HEAD or not re.search(r"[\s/_-].", line)
