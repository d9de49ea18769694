"""Intervals of many means against those of each mean alone."""

import math

import numpy as np
import pytest

from ectool.metrics.means import bootstrap_means
from ectool.metrics.statistics import bootstrap_interval

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


def test_each_is_the_interval_of_its_column_alone(columns):
    found = bootstrap_means(columns, **OPTIONS)
    assert list(found) == list(columns)
    for name, column in columns.items():
        alone = bootstrap_interval(column, **OPTIONS)
        assert found[name].n == alone.n
        for field in ("value", "low", "high"):
            assert getattr(found[name], field) == pytest.approx(getattr(alone, field), abs=1e-12)


def test_a_column_does_not_depend_on_the_others(columns):
    together = bootstrap_means(columns, **OPTIONS)["loss"]
    alone = bootstrap_means({"loss": columns["loss"]}, **OPTIONS)["loss"]
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high), abs=1e-12)


def test_too_few_samples_have_no_interval():
    nothing, one = np.full(3, np.nan), np.array([np.nan, 0.5, np.nan])
    found = bootstrap_means({"nothing": nothing, "one": one})
    assert (found["one"].value, found["one"].n) == (0.5, 1)
    assert math.isnan(found["one"].low)
    assert (math.isnan(found["nothing"].value), found["nothing"].n) == (True, 0)


def test_no_columns():
    assert bootstrap_means({}) == {}
