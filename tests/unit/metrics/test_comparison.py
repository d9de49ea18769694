from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binomtest, ttest_1samp

from ectool.errors import InputError
from ectool.metrics.comparison import holm, mcnemar, paired_comparison
from ectool.metrics.proportions import paired_shares_interval

P_VALUES = hnp.arrays(np.float64, st.integers(0, 12), elements=st.floats(0, 1))


class TestMcNemar:
    @given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 5))
    def test_is_the_binomial_test_of_what_only_one_classifies_correctly(self, only_a, only_b, both):
        counts = (only_a, only_b, both, 3)
        a, b = (np.repeat(side, counts) for side in ([1, 0, 1, 0], [0, 1, 1, 0]))
        found = mcnemar(a == 1, b == 1)
        assert (found.only_first, found.only_second) == (only_a, only_b)
        trials = only_a + only_b
        expected = binomtest(only_a, trials, 0.5).pvalue if trials else 1
        assert found.p_value == pytest.approx(expected)
        assert mcnemar(b == 1, a == 1).p_value == found.p_value

    def test_tiny_p_values_are_exact(self):
        a, b = np.ones(800, np.bool_), np.zeros(800, np.bool_)
        assert mcnemar(a, b).p_value == pytest.approx(2 * 0.5**800, rel=1e-9)

    def test_sides_of_different_length_are_an_error(self):
        with pytest.raises(InputError, match=r"expected 3 on both sides.*got 2"):
            mcnemar(np.ones(3, np.bool_), np.ones(2, np.bool_))


class TestPairedComparison:
    def test_zeros_and_ones_get_mcnemars_test_and_tangos_interval(self):
        a, b = np.random.default_rng(0).random((2, 80)) < 0.6
        found = paired_comparison(a, b)
        assert (found.test, found.p_value) == ("McNemar", mcnemar(a, b).p_value)
        assert found.estimate == paired_shares_interval(b.astype(float) - a)

    @pytest.mark.parametrize("shift", [0, 0.02, -0.06, 0.1])
    def test_p_value_is_close_to_that_of_the_bootstrap(self, shift):
        generator = np.random.default_rng(1)
        a = generator.random(60)
        b = a + generator.normal(shift, 0.2, 60)
        found, redone = paired_comparison(a, b), np.random.default_rng(8)
        means = np.array([(b - a)[redone.integers(60, size=60)].mean() for _ in range(20000)])
        expected = min(1, 2 * min((means <= 0).mean(), (means >= 0).mean()))
        assert found.test == "t"
        assert found.p_value == pytest.approx(expected, abs=0.04)

    @given(st.integers(0, 10**6))
    def test_p_value_and_interval_agree(self, seed):
        a, b = np.random.default_rng(seed).normal(size=(2, 12))
        found = paired_comparison(a, b)
        excludes_zero = found.estimate.low > 0 or found.estimate.high < 0
        assert (found.p_value < 0.05) == excludes_zero

    def test_swapping_the_sides_changes_the_sign_alone(self):
        a, b = np.random.default_rng(2).random((2, 50))
        one, other = paired_comparison(a, b), paired_comparison(b, a)
        assert one.estimate.value == -other.estimate.value
        assert one.p_value == pytest.approx(other.p_value)

    def test_equal_values_get_the_sign_test(self):
        a = np.arange(10.0)
        assert paired_comparison(a, a).p_value == 1
        assert paired_comparison(a, a + 1).p_value == 2 / 2**10

    def test_samples_that_share_draws_count_as_draws(self):
        generator, draws = np.random.default_rng(3), np.arange(40) % 4
        a, b = generator.normal(size=(2, 40))
        found = paired_comparison(a, b, draws=draws)
        means = [(b - a)[draws == draw].mean() for draw in range(4)]
        assert found.p_value == pytest.approx(ttest_1samp(means, 0).pvalue)
        expected = ttest_1samp(means, 0).confidence_interval()
        assert (found.estimate.low, found.estimate.high) == pytest.approx(tuple(expected))

    def test_a_sample_undefined_on_one_side_is_left_out_of_both(self):
        a, b = np.array([1, np.nan, 3, 4, 5]), np.array([2, 2, np.nan, 4, 9])
        found, rest = paired_comparison(a, b), paired_comparison(a[[0, 3, 4]], b[[0, 3, 4]])
        assert found == rest
        assert (found.estimate.value, found.estimate.n) == (pytest.approx(5 / 3), 3)

    @pytest.mark.parametrize("n", [0, 1])
    def test_too_few_samples_are_no_test(self, n):
        found = paired_comparison(np.zeros(n), np.ones(n))
        assert np.isnan([found.p_value, found.estimate.low, found.estimate.high]).all()
        assert found.estimate.n == n
        assert np.isnan(found.estimate.value) if n == 0 else found.estimate.value == 1


def holm_by_hand(p_values):
    """Return for each p-value the lowest level at which Holm's step-down test rejects it."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, running = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = running
    return corrected


class TestHolm:
    @given(P_VALUES)
    def test_is_the_step_down_definition(self, p_values):
        assert holm(p_values).tolist() == pytest.approx(holm_by_hand(p_values.tolist()))

    def test_values_of_p_adjust_in_r(self):
        found = holm(np.array([0.01, 0.04, 0.03, 0.005]))
        assert found.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])

    @given(P_VALUES)
    def test_lies_between_the_value_and_bonferronis(self, p_values):
        found = holm(p_values)
        assert (found >= p_values).all()
        assert (found <= np.minimum(1, p_values * len(p_values)) + 1e-12).all()

    def test_tests_that_were_not_possible_do_not_count(self):
        found = holm(np.array([np.nan, 0.01, np.nan, 0.04]))
        np.testing.assert_allclose(found, [np.nan, 0.02, np.nan, 0.04])
