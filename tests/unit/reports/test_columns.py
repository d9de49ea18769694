from __future__ import annotations

from ectool.reports.columns import table_lines


def test_columns_are_aligned_under_their_keys():
    rows = {
        "accuracy": {"value": 0.5, "n": 600, "better": None},
        "nll": {"value": -12.25, "n": 3, "better": "b"},
    }
    assert table_lines(rows) == [
        "             value    n  better",
        "accuracy    0.5000  600       -",
        "nll       -12.2500    3       b",
    ]


def test_small_numbers_keep_a_digit():
    rows = {"p": {"a": 0.0, "b": 1e-4, "c": 1.26e-7, "d": -2e-5}}
    assert table_lines(rows)[1].split() == ["p", "0.0000", "0.0001", "1.3e-07", "-2.0e-05"]


def test_an_empty_table_is_no_line():
    assert table_lines({}) == []
