from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ectool.errors import InputError
from ectool.scores.weights import (
    effective_sample_size,
    explanation_consistency,
    sample_weights,
)

CONSISTENCY = arrays(
    np.float64,
    st.integers(1, 60),
    elements=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0, 1 - 1e-9, math.nan])),
)
OPTIONS = {
    "gamma": st.sampled_from([0.0, 0.5, 1.0, 2.0, 7.3, 50.0]),
    "cap": st.one_of(st.sampled_from([1.0, 1.5, 10.0, math.inf]), st.floats(1, 80)),
    "floor": st.one_of(st.sampled_from([0.0, 0.3, 1.0]), st.floats(0, 1)),
}


def slow_cap(weights, cap):
    """Scale and clip by bisection on the scale."""
    low, high = 0.0, 1.0
    while np.minimum(weights * high, cap).mean() < 1:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if np.minimum(weights * middle, cap).mean() < 1:
            low = middle
        else:
            high = middle
    return np.minimum(weights * high, cap)


def slow_flatten(weights, floor):
    """Mix in uniform weights by bisection on their share."""
    low, high = 0.0, 1.0
    if effective_sample_size(weights) >= floor * len(weights):
        return weights
    for _ in range(200):
        middle = (low + high) / 2
        mixed = (1 - middle) * weights + middle
        if effective_sample_size(mixed) < floor * len(weights):
            low = middle
        else:
            high = middle
    return (1 - high) * weights + high


@settings(max_examples=100)
@given(
    consistency=arrays(np.float64, st.integers(2, 40), elements=st.floats(0, 0.99)),
    gamma=st.floats(0, 6),
    cap=st.floats(1.01, 20),
    floor=st.floats(0.05, 0.95),
    momentum=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_weights_equal_the_slow_definition(consistency, gamma, cap, floor, momentum, seed):
    previous = np.random.default_rng(seed).random(len(consistency)) + 0.01
    previous /= previous.mean()
    fresh = (1 - consistency) ** gamma
    mixed = momentum * previous + (1 - momentum) * fresh / fresh.mean()
    expected = slow_flatten(slow_cap(mixed, cap), floor)
    result = sample_weights(
        consistency, gamma=gamma, cap=cap, floor=floor, previous=previous, momentum=momentum
    )
    np.testing.assert_allclose(result.weight, expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=200)
@given(consistency=CONSISTENCY, **OPTIONS)
def test_mean_cap_floor_and_monotonicity(consistency, gamma, cap, floor):
    n = len(consistency)
    result = sample_weights(consistency, gamma=gamma, cap=cap, floor=floor)
    weight = result.weight.astype(np.float64)
    assert weight.mean() == pytest.approx(1, abs=1e-6)
    assert weight.min() >= 0
    assert weight.max() <= cap * (1 + 1e-6)
    assert result.effective_sample_size >= floor * n * (1 - 1e-9)
    assert result.effective_sample_size == pytest.approx(effective_sample_size(weight), rel=1e-5)
    assert 0 <= result.flattened <= 1
    defined = ~np.isnan(consistency)
    descending = result.weight[defined][np.argsort(consistency[defined], kind="stable")]
    assert (np.diff(descending) <= 1e-6).all()


@settings(max_examples=60)
@given(consistency=CONSISTENCY, seed=st.integers(0, 1000), **OPTIONS)
def test_order_of_the_samples_does_not_matter(consistency, seed, gamma, cap, floor):
    order = np.random.default_rng(seed).permutation(len(consistency))
    whole = sample_weights(consistency, gamma=gamma, cap=cap, floor=floor)
    shuffled = sample_weights(consistency[order], gamma=gamma, cap=cap, floor=floor)
    np.testing.assert_allclose(shuffled.weight, whole.weight[order], rtol=1e-5, atol=1e-6)
    assert shuffled.undefined == whole.undefined


def test_plain_power_without_cap_floor_and_momentum():
    result = sample_weights(np.array([0.0, 0.5, 1.0]), gamma=2.0, cap=10.0, floor=0.0)
    np.testing.assert_allclose(result.weight, np.array([1, 0.25, 0]) / (1.25 / 3), rtol=1e-6)
    assert (result.capped, result.flattened, result.undefined) == (0, 0.0, 0)
    assert result.weight.dtype == np.float32


def test_floor_is_reached_exactly():
    consistency = np.ones(100)
    consistency[:5] = 0
    result = sample_weights(consistency, gamma=2.0, cap=math.inf, floor=0.3)
    assert result.effective_sample_size == pytest.approx(30, rel=1e-9)
    assert 0 < result.flattened < 1
    assert result.weight.mean(dtype=np.float64) == pytest.approx(1, abs=1e-6)


def test_capped_samples_are_counted():
    consistency = np.full(100, 0.9)
    consistency[:3] = 0
    result = sample_weights(consistency, gamma=2.0, cap=4.0, floor=0.0)
    assert result.capped == 3
    assert (result.weight[:3] == 4).all()
    np.testing.assert_allclose(result.weight[3:], (100 - 12) / 97, rtol=1e-6)


def test_zero_weights_share_the_remainder_of_the_cap():
    consistency = np.ones(10)
    consistency[0] = 0.3
    result = sample_weights(consistency, gamma=2.0, cap=4.0, floor=0.0)
    np.testing.assert_allclose(result.weight, [4] + [6 / 9] * 9, rtol=1e-6)
    assert result.capped == 1


def test_without_a_cap_one_sample_can_have_all_the_weight():
    result = sample_weights(np.array([0.0, 1.0, 1.0]), gamma=2.0, cap=math.inf, floor=0.0)
    assert result.weight.tolist() == [3, 0, 0]
    assert result.effective_sample_size == 1
    assert result.capped == 0


@pytest.mark.parametrize("n", [1, 2, 50])
def test_perfectly_consistent_samples_are_uniform(n):
    result = sample_weights(np.ones(n, dtype=np.float32), gamma=2.0, cap=10.0, floor=0.3)
    assert result.weight.tolist() == [1] * n
    assert result.effective_sample_size == n


def test_almost_consistent_samples_do_not_underflow():
    consistency = np.array([1.0, 1 - 1e-15, 1 - 2e-15])
    result = sample_weights(consistency, gamma=50.0, cap=math.inf, floor=0.0)
    assert result.weight[2] == pytest.approx(3, rel=1e-6)


def test_undefined_samples_are_neutral_and_counted():
    consistency = np.array([0.0, math.nan, 0.5, math.nan, 1.0])
    result = sample_weights(consistency, gamma=1.0, cap=10.0, floor=0.0)
    np.testing.assert_allclose(result.weight, [2, 1, 1, 1, 0], rtol=1e-6)
    assert result.undefined == 2


def test_all_undefined_is_uniform():
    result = sample_weights(np.full(4, math.nan), gamma=2.0, cap=10.0, floor=0.3)
    assert result.weight.tolist() == [1] * 4
    assert result.undefined == 4


def test_consistency_a_rounding_above_one_is_one():
    result = sample_weights(np.array([1 + 1e-6, 0.0]), gamma=2.0, cap=10.0, floor=0.0)
    assert result.weight.tolist() == [0, 2]


def test_momentum_averages_with_the_last_round():
    consistency = np.array([0.0, 1.0])
    previous = np.array([0.5, 1.5])
    options = {"gamma": 1.0, "cap": 10.0, "floor": 0.0, "momentum": 0.7}
    result = sample_weights(consistency, previous=previous, **options)
    np.testing.assert_allclose(result.weight, [0.7 * 0.5 + 0.3 * 2, 0.7 * 1.5], rtol=1e-6)
    assert sample_weights(consistency, **options).weight.tolist() == [2, 0]


def test_explanation_consistency_is_the_product_and_keeps_the_undefined():
    similarity = np.array([0.5, 1.0, np.nan], dtype=np.float32)
    stability = np.array([0.5, 0.25, 1.0], dtype=np.float32)
    consistency = explanation_consistency(similarity, stability)
    np.testing.assert_array_equal(consistency, [0.25, 0.25, np.nan])


def test_effective_sample_size_of_known_weights():
    assert effective_sample_size(np.ones(7, dtype=np.float32)) == pytest.approx(7)
    assert effective_sample_size(np.array([3.0, 1.0])) == pytest.approx(16 / 10)


def test_no_samples_is_an_error():
    with pytest.raises(InputError, match="expected at least one sample, got none"):
        sample_weights(np.zeros(0), gamma=2.0, cap=10.0, floor=0.3)


@pytest.mark.parametrize("cap", [0.99, math.nan])
def test_cap_below_the_mean_is_an_error(cap):
    with pytest.raises(InputError, match="cap: expected at least 1"):
        sample_weights(np.zeros(3), gamma=2.0, cap=cap, floor=0.3)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.1])
def test_invalid_previous_weights_are_an_error(bad):
    with pytest.raises(InputError, match="previous weights: expected finite and non-negative"):
        sample_weights(
            np.zeros(2), gamma=2.0, cap=10.0, floor=0.3, previous=np.array([1.0, bad]), momentum=0.5
        )
