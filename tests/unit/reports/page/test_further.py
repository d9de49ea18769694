from __future__ import annotations

import pytest

from ectool.reports.page.further import ELSEWHERE, further_tables, spelled


def test_lines_of_all_models_are_in_one_table(make_report, make_evaluation):
    a = make_evaluation("a", sanity=[{"layer": "x", "value": 0.5}])
    b = make_evaluation("b", sanity=[{"layer": "y", "value": None, "n": 3}])
    (table,) = further_tables(make_report(a, b))
    assert (table.name, table.columns) == ("sanity", ("layer", "value", "n"))
    assert table.lines == (("a", ("x", 0.5, None)), ("b", ("y", None, 3)))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_shown_elsewhere_is_left_out(make_report, make_evaluation, name):
    assert further_tables(make_report(make_evaluation("a", **{name: [{"x": 1}]}))) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.25, "0.250"), (3, "3"), ("<b>", "<b>")],
)
def test_values_are_spelled(value, text):
    assert spelled(value) == text
