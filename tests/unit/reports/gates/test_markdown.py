"""Markdown, read again with markdown-it."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from ectool.reports.gates.content import GateLine, GateReport
from ectool.reports.gates.markdown import code, escape, to_markdown

ROWS = {"acc|uracy@original": {"value": "90.0", "95 % interval": "[80.0, 95.0]"}}


def tables(text):
    """Return the text of the cells of every table, row by row."""
    found, rows = [], []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            rows = []
            found.append(rows)
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "table_close":
            rows = []
        elif token.type == "inline" and rows:
            rows[-1].append("".join(part.content for part in token.children))
    return found


def report(*gates, **options):
    return GateReport("ectool evaluate", gates, {"Metrics": ROWS}, **options)


def test_tables_can_be_read_again():
    gates = (
        GateLine("nll <= 1", "seed|0", "1.5 [1, 2]", is_passed=False),
        GateLine("accuracy@original >= 90 %", "<b>", "95 %", is_passed=True),
    )
    text = to_markdown(report(*gates))
    checked, metrics = tables(text)
    assert text.startswith("### ❌ ectool evaluate: 1 of 2 gates missed\n\n")
    assert checked == [
        ["gate", "model", "", "found"],
        ["nll <= 1", "seed|0", "❌ missed", "1.5 [1, 2]"],
        ["accuracy@original >= 90 %", "<b>", "✅ passed", "95 %"],
    ]
    assert metrics == [
        ["", "value", "95 % interval"],
        ["acc|uracy@original", "90.0", "[80.0, 95.0]"],
    ]


def test_a_single_model_needs_no_column():
    text = to_markdown(report(GateLine("nll <= 1", "", "0.5", is_passed=True)))
    assert text.startswith("### ✅ ectool evaluate: 1 gate passed\n")
    assert tables(text)[0] == [["gate", "", "found"], ["nll <= 1", "✅ passed", "0.5"]]


def test_without_gates_there_are_only_metrics():
    text = to_markdown(report())
    assert text.startswith("### ectool evaluate\n\nMetrics\n\n| ")
    assert len(tables(text)) == 1


def test_many_metrics_are_folded():
    many = {str(number): {"value": "1"} for number in range(20)}
    text = to_markdown(GateReport("evaluate", (), {"All": many}))
    assert "<details><summary>All</summary>\n\n|" in text
    assert text.rstrip().endswith("|\n\n</details>")
    assert len(tables(text)[0]) == 21


def test_models_that_failed_are_listed():
    text = to_markdown(report(failures={"bad_one": "no *file*"}))
    assert text.startswith("### ❌ ectool evaluate: 1 model failed\n")
    assert "- ❌ bad\\_one: no \\*file\\*" in text


@pytest.mark.parametrize("text", ["a|b", "@someone", "a\nb", "<img>", "*x* _y_ `z`", "#1", "$x$"])
def test_no_text_is_interpreted(text):
    html = MarkdownIt("commonmark").renderInline(escape(text))
    plain = html.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert plain == " ".join(text.split())
    assert "\n" not in code(text)
