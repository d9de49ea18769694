"""Differences of arms for papers: every arm and metric, and marks only where a test found them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from evaluated_models import METRICS, SIGNIFICANT, experiment_of, report_of
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer

from ectool.reports.content import ExperimentResults
from ectool.reports.numbers import quantity
from ectool.reports.paper.differences import MAX_ROWS, arm_differences, difference_figures
from ectool.reports.paper.style import COLOURS, paper_style
from ectool.reports.report import Report

ARMS = ("plain", "consistency", "ec")


@pytest.fixture(autouse=True)
def style():
    with paper_style():
        yield


def report(*experiments: ExperimentResults) -> Report:
    return report_of(["model"], experiments=experiments or [experiment_of(ARMS)])


def test_every_arm_has_its_value_and_its_difference():
    found = report()
    (experiment,) = found.experiments
    rows = [row for table in arm_differences(found) for row in table.rows]
    assert len(rows) == len(METRICS) * len(ARMS)
    assert [row[1].text for row in rows[:3]] == list(ARMS)
    names = [name for suite in ("classification", "debiasing", "robustness", "stability")
             for name, (own, _) in METRICS.items() if own == suite]  # fmt: skip
    for number, row in enumerate(rows):
        name, arm = names[number // 3], experiment.arms[number % 3]
        result, share = arm.results[name], METRICS[name][1].is_share
        assert row[2].text == quantity(result.interval.value, share)
        assert (row[0].text == "") == (number % 3 > 0)
        if arm.name == "plain":
            assert [cell.text for cell in row[3:]] == ["", ""]
        else:
            assert row[3].text == quantity(result.difference.value, share, signed=True)
            assert row[4].text == f"{result.difference.p_holm:.3f}"


def test_only_significant_differences_are_bold():
    marked = [
        (row[1].text, cell.text)
        for table in arm_differences(report())
        for row in table.rows
        for cell in row
        if cell.is_marked
    ]
    assert len(marked) == len(SIGNIFICANT) * 2
    assert "plain" not in dict(marked)


def test_one_seed_marks_nothing_and_says_why():
    found = report(experiment_of(ARMS, seeds=1))
    for table in arm_differences(found):
        assert "Nothing is marked: a paired test needs two seeds." in table.caption
        assert not any(cell.is_marked for row in table.rows for cell in row)
        assert {row[4].text for row in table.rows} == {"", "-"}
    for figure in difference_figures(found):
        assert "Nothing is marked: a paired test needs two seeds." in figure.caption
        assert filled(figure) == []


def test_long_tables_come_in_parts_that_fit_on_a_page():
    arms = [f"arm {number}" for number in range(15)]
    tables = list(arm_differences(report(experiment_of(arms))))
    assert all(len(table.rows) <= MAX_ROWS for table in tables)
    assert sum(len(table.rows) for table in tables) == len(METRICS) * 15
    names = [table.name for table in tables if "robustness" in table.name]
    assert names == [f"arms-robustness-{number}" for number in (1, 2, 3)]


def test_experiments_have_files_of_their_own():
    first, second = experiment_of(ARMS), replace(experiment_of(ARMS), title="Letters")
    names = [table.name for table in arm_differences(report(first, second))]
    assert len(set(names)) == len(names)
    assert {re.match(r"(Digits|Letters)-arms-", name)[1] for name in names} == {"Digits", "Letters"}


def containers(figure) -> list[ErrorbarContainer]:
    return [
        container
        for axes in figure.figure.axes
        for container in axes.containers
        if isinstance(container, ErrorbarContainer)
    ]


def filled(figure) -> list[tuple[str, float]]:
    """Return colour and position of the filled marks, which lie above the hollow ones."""
    return [
        (to_hex(line.get_color()), round(float(x), 6))
        for axes in figure.figure.axes
        for line in axes.lines
        if line.get_zorder() == 3
        for x in np.atleast_1d(line.get_xdata())
    ]


def test_figures_show_the_differences_and_fill_the_significant_ones():
    found = report()
    figures = {figure.name: figure for figure in difference_figures(found)}
    assert set(figures) == {
        f"arms-differences-{suite}"
        for suite in ("classification", "debiasing", "robustness", "stability")
    }
    debiasing = figures["arms-differences-debiasing"]
    ec = found.experiments[0].arms[2].results
    expected = [100 * ec[n].difference.value for n in ("accuracy@mixed_rand", "background_gap")]
    assert containers(debiasing)[1].lines[0].get_xdata().tolist() == pytest.approx(expected)
    assert filled(debiasing) == [(COLOURS[1], -2.0), (COLOURS[2], -4.0)]
    assert filled(figures["arms-differences-stability"]) == []


def test_colours_of_arms_are_those_of_the_figures_of_values():
    figure = next(difference_figures(report()))
    first, second = containers(figure)[:2]
    assert [to_hex(one.lines[0].get_color()) for one in (first, second)] == list(COLOURS[1:3])


def test_an_experiment_of_one_arm_has_no_figure():
    assert list(difference_figures(report(experiment_of(["plain"])))) == []
    rows = [
        row for table in arm_differences(report(experiment_of(["plain"]))) for row in table.rows
    ]
    assert {row[3].text for row in rows} == {""}
