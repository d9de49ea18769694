from __future__ import annotations

import numpy as np
import pytest

from ectool.errors import InputError
from ectool.metrics.means import estimate_mean
from ectool.metrics.robustness import (
    area_under_robustness_curve,
    correctness_under_corruption,
    corruption_errors,
    error_rates,
    relative_corruption_errors,
)

GENERATOR = np.random.default_rng(0)
CORRECT = GENERATOR.random((4, 5, 60)) < 0.7
CLEAN = GENERATOR.random(60) < 0.9
BASELINE = GENERATOR.uniform(0.3, 0.9, (4, 5))
BASELINE_CLEAN = 0.2


def test_mean_corruption_error_is_the_papers_quotient_of_sums():
    quotients = []
    for kind in range(4):
        errors = [1 - CORRECT[kind, severity].sum() / 60 for severity in range(5)]
        quotients.append(sum(errors) / sum(BASELINE[kind]))
    column = corruption_errors(CORRECT, BASELINE)
    assert column.shape == (60,)
    assert column.mean() == pytest.approx(sum(quotients) / 4)


def test_relative_error_subtracts_the_clean_errors_on_both_sides():
    clean_error = 1 - CLEAN.sum() / 60
    quotients = []
    for kind in range(4):
        added = sum(1 - CORRECT[kind, severity].sum() / 60 - clean_error for severity in range(5))
        quotients.append(added / sum(rate - BASELINE_CLEAN for rate in BASELINE[kind]))
    column = relative_corruption_errors(CORRECT, CLEAN, BASELINE, BASELINE_CLEAN)
    assert column.mean() == pytest.approx(sum(quotients) / 4)


def test_against_itself_a_model_scores_one():
    rates = error_rates(CORRECT)
    assert corruption_errors(CORRECT, rates).mean() == pytest.approx(1)
    relative = relative_corruption_errors(CORRECT, CLEAN, rates, 1 - CLEAN.mean())
    assert relative.mean() == pytest.approx(1)


def test_without_a_baseline_it_is_the_mean_error():
    column = correctness_under_corruption(CORRECT)
    assert 1 - column.mean() == pytest.approx(error_rates(CORRECT).mean())
    flat = corruption_errors(CORRECT, np.ones((4, 5)))
    np.testing.assert_allclose(flat, 1 - column)
    estimate = estimate_mean(column, "share")
    assert estimate.low < estimate.value < estimate.high


def test_a_kind_without_errors_of_the_baseline_has_no_quotient():
    perfect = BASELINE.copy()
    perfect[2] = 0
    assert np.isnan(corruption_errors(CORRECT, perfect)).all()
    unhurt = BASELINE.copy()
    unhurt[1] = BASELINE_CLEAN - 0.01
    assert np.isnan(relative_corruption_errors(CORRECT, CLEAN, unhurt, BASELINE_CLEAN)).all()


def test_a_baseline_of_other_corruptions_is_an_error():
    with pytest.raises(InputError, match=r"4 kinds at 5 severities, got shape \(3, 5\)"):
        corruption_errors(CORRECT, BASELINE[:3])
    with pytest.raises(InputError, match="4 kinds at 5 severities"):
        relative_corruption_errors(CORRECT, CLEAN, BASELINE[:, :4], BASELINE_CLEAN)


def test_the_area_is_that_under_the_curve_of_accuracies():
    eps = [0.0, 0.5, 1.0, 4.0]
    correct = np.sort(GENERATOR.random((4, 30)) < 0.5, axis=0)[::-1]
    expected = np.trapezoid(correct.mean(axis=1), eps) / 4
    assert area_under_robustness_curve(correct, eps).mean() == pytest.approx(expected)


def test_the_area_is_one_without_errors_and_shrinks_with_the_radius_of_the_first():
    correct = np.array([[True, True, False], [True, True, False], [True, False, False]])
    area = area_under_robustness_curve(correct, [0.0, 1 / 255, 2 / 255])
    assert area == pytest.approx([1, 0.75, 0])


@pytest.mark.parametrize("eps", [[0.0, 0.0, 1.0], [2.0, 1.0, 3.0], [0.0, 1.0], [1.0]])
def test_radii_ascend_one_for_each_row(eps):
    with pytest.raises(InputError, match="at least two ascending radii, one for each of 3 rows"):
        area_under_robustness_curve(np.ones((3, 2), np.bool_), eps)
