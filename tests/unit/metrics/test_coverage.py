"""Coverage of intervals, simulated from known populations.

Each row draws many data sets of a population and counts how often the interval contains the value
of the population. A 95 % interval must contain it in 93 to 97 of 100 draws. For populations for
which no interval of its kind can be exact, the row states the expected coverage. `make test-slow`
draws more, at every size: docs/evaluation.md has the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from ectool.metrics.calibration import BINS, expected_calibration_error
from ectool.metrics.means import estimate_means
from ectool.metrics.strata import balanced_accuracy, worst_group_accuracy

RESAMPLES = 400
Draw = Callable[[np.random.Generator, int], tuple[float, float]]


@dataclass(frozen=True)
class Population:
    """A row: how data are drawn and estimated, the true value, and the expected coverage."""

    draw: Draw
    value: float
    sizes: tuple[int, ...] = (100, 300, 1000)
    low: float = 0.93
    high: float = 0.97


def share(p):
    def draw(generator, n):
        found = estimate_means({"share": generator.random(n) < p})["share"]
        return found.low, found.high

    return Population(draw, p)


def gap(only_first, only_second):
    def draw(generator, n):
        values = generator.choice(
            (1, -1, 0), n, p=(only_first, only_second, 1 - only_first - only_second)
        )
        found = estimate_means({"gap": values}, scales={"gap": "difference"})["gap"]
        return found.low, found.high

    return Population(draw, only_first - only_second)


def mean(sample, truth, low=0.93):
    def draw(generator, n):
        found = estimate_means({"mean": sample(generator, n)})["mean"]
        return found.low, found.high

    return Population(draw, truth, low=low)


def classes(accuracies):
    accuracies = np.asarray(accuracies)

    def draw(generator, n):
        labels = np.arange(n) % len(accuracies)
        correct = generator.random(n) < accuracies[labels]
        found = balanced_accuracy(correct, labels)
        return found.low, found.high

    return Population(draw, accuracies.mean())


def worst(accuracies, sizes, high):
    """Return groups of given accuracies; `n` of the line is the number of samples of each."""
    accuracies = np.asarray(accuracies)

    def draw(generator, n):
        groups = np.repeat(np.arange(len(accuracies)), n)
        correct = generator.random(len(groups)) < accuracies[groups]
        found = worst_group_accuracy(correct, groups)
        return found.low, found.high

    return Population(draw, accuracies.min(), sizes, high=high)


def calibration(confidence, accuracy, high=0.99):
    """Return a two-class model that is correct with probability `accuracy(confidence)`."""

    def logits_of(sure):
        # Classes enough for every confidence: the rest is shared by nineteen others.
        logits = np.zeros((len(sure), 20))
        logits[:, 0] = np.log(sure / ((1 - sure) / 19))
        return logits

    def draw(generator, n):
        sure = np.clip(confidence(generator, n), 0.06, 1 - 1e-9)
        right = generator.random(n) < accuracy(sure)
        labels = np.where(right, 0, 1)
        found = expected_calibration_error(logits_of(sure), labels, resamples=RESAMPLES)
        return found.low, found.high

    many = np.clip(confidence(np.random.default_rng(1), 2_000_000), 0.06, 1 - 1e-9)
    number = np.minimum(np.ceil(many * BINS).astype(int) - 1, BINS - 1)
    gaps = np.bincount(number, weights=accuracy(many) - many)
    return Population(draw, float(np.abs(gaps).sum() / len(many)), high=high)


def beta(a, b):
    return lambda generator, n: generator.beta(a, b, n)


POPULATIONS = {
    "accuracy 0.60": share(0.6),
    "accuracy 0.90": share(0.9),
    "background gap 0.10": gap(0.15, 0.05),
    "energy inside": mean(beta(2, 5), 2 / 7),
    "negative log-likelihood": mean(
        lambda generator, n: generator.exponential(0.7, n), 0.7, low=0.92
    ),
    "balanced accuracy, 10 classes": classes(np.linspace(0.5, 0.98, 10)),
    "worst of 10 equal groups": worst([0.8] * 10, (10, 20, 50), high=0.985),
    "worst of 4 groups": worst([0.7, 0.75, 0.95, 0.97], (20, 50), high=0.985),
    "one bad group of 10": worst([0.5, *[0.95] * 9], (20, 50), high=0.98),
    "ECE, overconfident": calibration(beta(6, 1.2), lambda c: 0.85 * c),
    "ECE, nearly calibrated": calibration(beta(8, 1), lambda c: np.clip(c - 0.04, 0, 1)),
    "ECE, calibrated": calibration(beta(5, 1.5), lambda c: c, high=1),
    "ECE, of both signs": calibration(
        beta(3, 1.5), lambda c: np.clip(c + 0.1 * np.sin(12 * c), 0, 1)
    ),
}


def coverage(population, size, draws):
    generator = np.random.default_rng(20)
    bounds = np.array([population.draw(generator, size) for _ in range(draws)])
    return ((bounds[:, 0] <= population.value) & (population.value <= bounds[:, 1])).mean()


@pytest.mark.parametrize("name", POPULATIONS)
def test_coverage_is_the_nominal_one(name):
    population, draws = POPULATIONS[name], 300
    found = coverage(population, population.sizes[1], draws)
    noise = 2.5 * np.sqrt(0.05 * 0.95 / draws)  # of the simulation itself
    assert population.low - noise <= found <= population.high + noise


@pytest.mark.slow
@pytest.mark.parametrize("name", POPULATIONS)
def test_coverage_is_the_nominal_one_at_every_size(name):
    population, draws = POPULATIONS[name], 4000
    for size in population.sizes:
        found = coverage(population, size, draws)
        print(f"{name} | {size} | {found:.3f}")  # noqa: T201 (the table of docs/evaluation.md)
        noise = 2.5 * np.sqrt(0.05 * 0.95 / draws)
        assert population.low - noise <= found <= population.high + noise
