from __future__ import annotations

import pytest
from scipy.stats import binomtest, norm

from ectool.wilson import normal_quantile, wilson_bounds


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (0, 10), (10, 10), (3, 5), (431, 600)])
def test_bounds_are_scipys(hits, n, confidence):
    expected = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    found = wilson_bounds(hits / n, n, normal_quantile(confidence))
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= found[0] < found[1] <= 1


def test_ten_of_ten_are_not_certain():
    assert wilson_bounds(1.0, 10, normal_quantile(0.95)) == (pytest.approx(0.722, abs=1e-3), 1.0)


def test_quantile_is_scipys():
    assert normal_quantile(0.9) == pytest.approx(norm.ppf(0.95))
