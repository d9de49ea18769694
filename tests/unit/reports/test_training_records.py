from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectool.reports.training_records import (
    CONSISTENCY_EDGES,
    WEIGHT_EDGES,
    distribution,
    summarize_round,
)


def counted_slowly(values: list[float], edges: tuple[float, ...]) -> tuple[int, ...]:
    counts = [0] * (len(edges) - 1)
    for value in values:
        below = sum(value >= edge for edge in edges) - 1
        counts[min(max(below, 0), len(counts) - 1)] += 1
    return tuple(counts)


@given(st.lists(st.floats(0, 40, width=32), min_size=1, max_size=50))
def test_histogram_counts_every_value_once(values):
    found = distribution(np.array(values, np.float32), WEIGHT_EDGES)
    assert found.counts == counted_slowly(values, WEIGHT_EDGES)
    assert found.mean == pytest.approx(sum(values) / len(values), rel=1e-5, abs=1e-6)


def test_undefined_values_are_left_out():
    values = np.array([0.1, np.nan, 0.3, 0.5, np.nan], np.float32)
    found = distribution(values, CONSISTENCY_EDGES)
    assert sum(found.counts) == 3
    assert found.mean == pytest.approx(0.3)
    assert found.quantiles == pytest.approx((0.14, 0.3, 0.46))


def test_nothing_defined():
    found = distribution(np.full(4, np.nan, np.float32), CONSISTENCY_EDGES)
    assert math.isnan(found.mean)
    assert all(math.isnan(quantile) for quantile in found.quantiles)
    assert set(found.counts) == {0}


def test_round():
    consistency = np.array([0.5, np.nan, 0.7], np.float32)
    weight = np.array([0.5, 1.0, 1.5], np.float32)
    parts = {"similarity": np.float32([1, np.nan, 1]), "stability": np.float32([0.5, 1, 0.7])}
    scores = {"explanation_consistency": consistency, "weight": weight, **parts}
    findings = {"effective_sample_size": 2.5, "capped_weights": 0.0}
    found = summarize_round(4, scores, findings)
    assert (found.number, found.samples, found.undefined) == (4, 3, 1)
    assert found.effective_sample_size == 2.5
    assert found.findings == {"capped_weights": 0.0}
    assert (found.consistency.mean, found.similarity.mean) == pytest.approx((0.6, 1))
    assert found.stability.quantiles == pytest.approx((0.54, 0.7, 0.94))
    assert sum(found.stability.counts) == 3
    assert math.isnan(summarize_round(4, scores, {}).effective_sample_size)
