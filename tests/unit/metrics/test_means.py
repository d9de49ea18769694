"""Intervals of many means against those of each mean alone."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from ectool.metrics.means import estimate_means

OPTIONS = {"resamples": 300, "seed": 4, "confidence": 0.9}


@pytest.fixture
def columns():
    generator = np.random.default_rng(0)
    holes, others = generator.random(40), generator.normal(size=40)
    holes[[3, 17]] = np.nan
    return {
        "right": generator.random(40) < 0.7,
        "holes": holes,
        "loss": others,
        "same holes": np.where(np.isnan(holes), np.nan, others),
        "constant": np.ones(40),
    }


def test_a_mean_has_scipys_accelerated_interval(columns):
    found = estimate_means(columns, **OPTIONS)
    assert list(found) == list(columns)
    for name in ("holes", "loss", "same holes"):
        known = columns[name][~np.isnan(columns[name])]
        expected = bootstrap(
            (known,),
            np.mean,
            confidence_level=0.9,
            n_resamples=300,
            batch=300,
            rng=np.random.default_rng(4),  # the same draws
        ).confidence_interval
        assert found[name].value == pytest.approx(known.mean())
        assert (found[name].low, found[name].high) == pytest.approx(
            (expected.low, expected.high), abs=1e-9
        )
        assert found[name].n == len(known)


def test_a_share_has_wilsons_interval_whatever_its_type(columns):
    right = columns["right"]
    found = estimate_means({"flags": right, "numbers": right.astype(float)}, **OPTIONS)
    expected = binomtest(int(right.sum()), 40).proportion_ci(0.9, method="wilson")
    for one in found.values():
        assert (one.low, one.high) == pytest.approx((expected.low, expected.high))


def test_all_right_is_not_certainty(columns):
    found = estimate_means(columns, **OPTIONS)["constant"]
    assert (found.value, found.high) == (1, 1)
    assert 0.9 < found.low < 0.95


def test_a_difference_of_shares_is_told_by_its_name():
    helped = np.array([1.0] * 3 + [0.0] * 97)  # which looks like a share, but may be chance
    found = estimate_means({"gap": helped, "share": helped}, differences=["gap"])
    assert found["gap"].low < 0 < found["share"].low


def test_equal_values_that_are_no_share_have_an_interval_without_width():
    found = estimate_means({"loss": np.full(5, 0.25)})["loss"]
    assert (found.low, found.value, found.high) == (0.25, 0.25, 0.25)


def test_a_column_does_not_depend_on_the_others(columns):
    together = estimate_means(columns, **OPTIONS)["loss"]
    alone = estimate_means({"loss": columns["loss"]}, **OPTIONS)["loss"]
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high), abs=1e-12)


def test_too_few_samples_have_no_interval():
    nothing, one = np.full(3, np.nan), np.array([np.nan, 0.5, np.nan])
    found = estimate_means({"nothing": nothing, "one": one})
    assert (found["one"].value, found["one"].n) == (0.5, 1)
    assert math.isnan(found["one"].low)
    assert (math.isnan(found["nothing"].value), found["nothing"].n) == (True, 0)


def test_no_columns():
    assert estimate_means({}) == {}
