"""Coverage of intervals, and noise at gates, simulated from known populations.

`benchmarks/coverage.py` has the populations; docs/evaluation.md has its table. `make test-slow`
draws more, at every size.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.coverage import GATES, INTERVALS, SPREADS, Population, counted

EXACT = INTERVALS | GATES
COSTLY = ("five", "ece")
"""Beginnings of rows for `make test-slow` alone."""


def check(population: Population, size: int, draws: int) -> None:
    found = counted(population, size, draws)
    noise = 2.5 * np.sqrt(0.05 * 0.95 / draws)  # of the simulation itself
    assert population.low - noise <= found <= population.high + noise


@pytest.mark.parametrize("name", [name for name in EXACT if not name.startswith(COSTLY)])
def test_coverage_is_the_nominal_one(name):
    check(EXACT[name], EXACT[name].sizes[1], 200)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_coverage_is_the_nominal_one_at_every_size(name):
    for size in EXACT[name].sizes:
        check(EXACT[name], size, 4000)


def test_a_spread_covers_less():
    population = SPREADS["location instability, 10 classes"]
    assert counted(population, population.sizes[0], 20) < 0.5
