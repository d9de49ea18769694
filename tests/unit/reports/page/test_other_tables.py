from __future__ import annotations

import pytest

from ectool.reports.page.other_tables import SHOWN_ELSEWHERE, other_tables


def test_lines_of_all_models_are_in_one_table(make_report, make_evaluation):
    a = make_evaluation("a", sanity=[{"layer": "x", "value": 0.5}])
    b = make_evaluation("b", sanity=[{"layer": "y", "value": None, "n": 3}])
    (table,) = other_tables(make_report(a, b))
    assert (table.name, table.columns) == ("sanity", ("layer", "value", "n"))
    assert table.lines == (("a", ("x", 0.5, None)), ("b", ("y", None, 3)))


@pytest.mark.parametrize("name", SHOWN_ELSEWHERE)
def test_tables_of_other_sections_are_left_out(make_report, make_evaluation, name):
    assert other_tables(make_report(make_evaluation("a", **{name: [{"x": 1}]}))) == []
