from __future__ import annotations

import math

import pytest
from metric_conditions import metric_of

from ectool.reports.leaderboard import MARGIN, by_suite, columns, group_numbers, headlines

LEFT, RIGHT = 100 * MARGIN, 100 * (1 - MARGIN)


@pytest.fixture
def column(make_report, make_evaluation):
    """Return a function that makes the column of a metric of models with its values."""

    def make(name, *values):
        models = [make_evaluation(str(row), {name: value}) for row, value in enumerate(values)]
        (found,) = columns(make_report(*models))
        return found

    return make


@pytest.mark.parametrize(
    ("name", "values", "best"),
    [
        ("accuracy@original", (0.2, 0.7, 0.5), [1]),
        ("background_gap", (0.2, 0.7, 0.5), [0]),
        ("accuracy@original", (0.7, 0.2, 0.7), [0, 2]),
        ("accuracy@original", (math.nan, 0.2, 0.3), [2]),
        ("accuracy@original", (0.3,), []),
        ("accuracy@original", (0.3, 0.3), []),
        ("accuracy@original", (math.nan, math.nan), []),
    ],
)
def test_best_of_a_column(column, name, values, best):
    cells = column(name, *values).cells
    assert [row for row, cell in enumerate(cells) if cell.is_best] == best


def test_plot_fits_values_and_intervals(column):
    found = column("accuracy@original", 0.2, 0.6)
    assert found.axis == pytest.approx((0.1, 0.7))
    low, high = (cell.whisker for cell in found.cells)
    assert (low.low, high.high) == (LEFT, RIGHT)
    assert low.value == pytest.approx(LEFT + (RIGHT - LEFT) / 6, abs=0.06)
    assert high.low == pytest.approx(LEFT + (RIGHT - LEFT) * 4 / 6, abs=0.06)


def test_percents_of_a_single_model_lie_between_0_and_100(column):
    found = column("accuracy@original", 0.5)
    assert found.axis == (0, 1)
    assert found.cells[0].whisker.value == 50
    assert column("background_gap", -0.3).axis == pytest.approx((-0.4, 1))
    assert column("nll", 0.5).axis == pytest.approx((0.4, 0.6))


def test_the_smallest_radius_is_a_headline():
    names = ["robust@8/255", "nll", "robust@4/255", "robust_worst@4/255", "accuracy@original"]
    metrics = {name: metric_of(name, name, "", True) for name in names}
    assert headlines(metrics) == ["accuracy@original", "robust@4/255"]


def test_both_factors_of_consistency_are_shown_with_it_and_are_no_headlines(
    make_report, make_evaluation
):
    names = ("explanation_consistency", "nll", "heatmap_similarity", "prediction_stability")
    report = make_report(make_evaluation("a", dict.fromkeys(names, 0.5)))
    shown = {column.name for column in columns(report) if column.is_headline}
    assert shown == set(names) - {"nll"}
    assert headlines(report.metrics) == ["explanation_consistency"]


def test_undefined_values_are_not_drawn(column):
    assert column("accuracy@original", math.nan, 0.5).cells[0].whisker is None


def test_equal_values_lie_in_the_middle(make_report, make_evaluation):
    one = make_evaluation("a", {"nll": 0.5})
    flat = one.values["nll"].__class__(0.5, math.nan, math.nan, 1)
    one = one.__class__(**{**vars(one), "values": {"nll": flat}})
    (found,) = columns(make_report(one))
    assert found.cells[0].whisker.value == 50


def test_models_without_a_metric_have_an_empty_cell(make_report, make_evaluation):
    first = make_evaluation("a", {"accuracy@original": 0.5})
    second = make_evaluation("b", {"accuracy@original": 0.6, "nll": 1.0})
    found = {column.name: column for column in columns(make_report(first, second))}
    assert math.isnan(found["nll"].cells[0].value.value)
    assert found["nll"].cells[1].value.value == 1.0
    assert list(by_suite(list(found.values()))) == ["classification"]


def test_groups_are_numbered_as_they_come(make_report, make_evaluation):
    models = [make_evaluation(name) for name in ("b 0", "b 1", "a 0")]
    report = make_report(*models, groups={"b 0": "b", "b 1": "b", "a 0": "a"})
    assert group_numbers(report) == {"b": 0, "a": 1}
