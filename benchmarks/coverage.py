"""Simulate how often intervals contain the true value, and how often noise fails a gate.

    python -m benchmarks.coverage [--draws N] [--only ROW]

A row draws many data sets of a known population at several sizes. It counts how often the 95 %
interval of the data contains the value of the population. In rows of gates both models are exactly
at the margin of the bound, so that only noise misses it; they count how often it does.
Prints the table of docs/evaluation.md; without --only also writes benchmarks/coverage.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ectool.metrics.bounds import LEVEL, Bound, Comparison
from ectool.metrics.calibration import BINS, expected_calibration_error
from ectool.metrics.comparison import interval_difference, paired_comparison
from ectool.metrics.means import clustered_mean, estimate_means
from ectool.metrics.multilabel import mean_average_precision, mean_average_precision_interval
from ectool.metrics.parts import location_instability_interval
from ectool.metrics.strata import balanced_accuracy, worst_group_accuracy
from ectool.types import Estimate

RESAMPLES = 400
NOMINAL = (0.93, 0.97)
"""Coverage of an interval that is called a 95 % interval."""
Draw = Callable[[np.random.Generator, int], bool]
"""Draws a data set of a size; returns whether what is counted happened."""


@dataclass(frozen=True)
class Population:
    """A row.

    Attributes:
        draw: Draws a data set, and tells whether its interval contains the true value, or whether
            noise misses the bound.
        sizes: Sizes of the data sets.
        low: Minimum share of the draws that is expected; None for a spread.
        high: Maximum share.
    """

    draw: Draw
    sizes: tuple[int, ...] = (100, 300, 1000)
    low: float | None = NOMINAL[0]
    high: float = NOMINAL[1]


def contains(found: Estimate, value: float) -> bool:
    return found.low <= value <= found.high


def share(p: float, low: float = NOMINAL[0]) -> Population:
    def draw(generator: np.random.Generator, n: int) -> bool:
        return contains(estimate_means({"share": generator.random(n) < p})["share"], p)

    return Population(draw, low=low)


def gap(only_first: float, only_second: float) -> Population:
    chances = (only_first, only_second, 1 - only_first - only_second)

    def draw(generator: np.random.Generator, n: int) -> bool:
        values = generator.choice((1, -1, 0), n, p=chances)
        found = estimate_means({"gap": values}, scales={"gap": "difference"})["gap"]
        return contains(found, only_first - only_second)

    return Population(draw)


def mean(
    sample: Callable[[np.random.Generator, int], np.ndarray], truth: float, low: float = NOMINAL[0]
) -> Population:
    def draw(generator: np.random.Generator, n: int) -> bool:
        return contains(estimate_means({"mean": sample(generator, n)})["mean"], truth)

    return Population(draw, low=low)


def classes(accuracies: np.ndarray, high: float = NOMINAL[1]) -> Population:
    def draw(generator: np.random.Generator, n: int) -> bool:
        labels = np.arange(n) % len(accuracies)
        correct = generator.random(n) < accuracies[labels]
        return contains(balanced_accuracy(correct, labels), float(accuracies.mean()))

    return Population(draw, high=high)


def worst(accuracies: list[float], sizes: tuple[int, ...], high: float) -> Population:
    """Return groups of given accuracies; sizes are those of a group."""
    known = np.asarray(accuracies)

    def draw(generator: np.random.Generator, n: int) -> bool:
        groups = np.repeat(np.arange(len(known)), n)
        correct = generator.random(len(groups)) < known[groups]
        return contains(worst_group_accuracy(correct, groups), float(known.min()))

    return Population(draw, sizes, high=high)


def calibration(
    confidence: Callable[[np.random.Generator, int], np.ndarray],
    accuracy: Callable[[np.ndarray], np.ndarray],
    high: float = 1,
) -> Population:
    """Return a model that is correct with probability `accuracy(confidence)`."""

    def sure_of(generator: np.random.Generator, n: int) -> np.ndarray:
        return np.clip(confidence(generator, n), 0.06, 1 - 1e-9)

    many = sure_of(np.random.default_rng(1), 2_000_000)
    number = np.minimum(np.ceil(many * BINS).astype(int) - 1, BINS - 1)
    gaps = np.bincount(number, weights=accuracy(many) - many)
    truth = float(np.abs(gaps).sum() / len(many))

    def draw(generator: np.random.Generator, n: int) -> bool:
        logits, labels = _classified(generator, sure_of(generator, n), accuracy)
        return contains(expected_calibration_error(logits, labels, resamples=RESAMPLES), truth)

    return Population(draw, high=high)


def _classified(
    generator: np.random.Generator, sure: np.ndarray, accuracy: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return logits of twenty classes with these confidences, and labels."""
    logits = np.zeros((len(sure), 20))
    logits[:, 0] = np.log(sure / ((1 - sure) / 19))
    return logits, np.where(generator.random(len(sure)) < accuracy(sure), 0, 1)


def precision(prevalence: float, sizes: tuple[int, ...]) -> Population:
    """Return five classes whose positives score higher by 1.5 standard deviations."""

    def sample(generator: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = (generator.random((n, 5)) < prevalence).astype(np.int8)
        return generator.normal(size=(n, 5)) + 1.5 * labels, labels

    truth = mean_average_precision(*sample(np.random.default_rng(1), 200_000))

    def draw(generator: np.random.Generator, n: int) -> bool:
        scores, labels = sample(generator, n)
        return contains(mean_average_precision_interval(scores, labels, resamples=200), truth)

    return Population(draw, sizes, low=None)


def instability(per_class: tuple[int, ...]) -> Population:
    """Return ten classes with distances of standard deviation 0.1; sizes are those of a class."""

    def draw(generator: np.random.Generator, n: int) -> bool:
        labels = np.repeat(np.arange(10), n)
        distances = generator.normal(0.4, 0.1, (10 * n, 2))
        return contains(location_instability_interval(distances, labels, resamples=200), 0.1)

    return Population(draw, per_class, low=None)


def sanity(draws: int) -> Population:
    """Return similarities after random weights, each for a part of the samples."""

    def draw(generator: np.random.Generator, n: int) -> bool:
        number = np.arange(n) % draws
        values = 0.2 + generator.normal(0, 0.1, draws)[number] + generator.normal(0, 0.2, n)
        return contains(clustered_mean(values, number), 0.2)

    return Population(draw)


Pairs = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
"""Draws the values of the same samples by a baseline and a model."""


def gate(
    measure: Pairs,
    bound: Bound,
    bounds: int = 1,
) -> Population:
    """Return models at the margin of a bound; counted is whether one of some bounds is missed."""
    confidence = 1 - LEVEL / bounds

    def is_missed(generator: np.random.Generator, n: int) -> bool:
        baseline, own = measure(generator, n)
        found = paired_comparison(baseline, own, confidence=confidence)
        comparison = Comparison(
            float(baseline.mean()), found.estimate, found.test, found.p_value, confidence
        )
        return bound.missed_against(comparison) is not None

    def draw(generator: np.random.Generator, n: int) -> bool:
        return any(is_missed(generator, n) for _ in range(bounds))

    return Population(draw, low=0, high=0.03)


def pairs_of_shares(only_baseline: float, only_own: float) -> Pairs:
    """Return correctness of both models, where both are right on most of the other samples."""

    def measure(generator: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        which = generator.random(n)
        first, second = which < only_baseline, which > 1 - only_own
        both = generator.random(n) < 0.85
        return (first | both & ~second).astype(float), (second | both & ~first).astype(float)

    return measure


def losses(generator: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return losses of two models of equal mean, which share what is hard in an image."""
    hard = generator.exponential(0.3, n)
    return hard + generator.exponential(0.2, n), hard + generator.exponential(0.2, n)


def gate_of_calibration() -> Population:
    """Return a bound on the calibration error, which is compared by intervals."""
    bound = Bound("ece", "<=", 0.0, is_share=True, end="test", is_relative=True)

    def one(generator: np.random.Generator, n: int) -> Estimate:
        logits, labels = _classified(generator, generator.beta(6, 1.2, n), lambda c: 0.85 * c)
        return expected_calibration_error(logits, labels, resamples=RESAMPLES)

    def draw(generator: np.random.Generator, n: int) -> bool:
        first, second = one(generator, n), one(generator, n)
        difference = interval_difference(first, second)
        found = Comparison(first.value, difference, "intervals", float("nan"), 1 - LEVEL)
        return bound.missed_against(found) is not None

    return Population(draw, low=0, high=0.03)


def beta(a: float, b: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda generator, n: generator.beta(a, b, n)


AT_LEAST = Bound("accuracy", ">=", 0.0, is_share=True, end="test", is_relative=True)
AT_MOST = Bound("nll", "<=", 0.0, is_share=False, end="test", is_relative=True)
INTERVALS: Mapping[str, Population] = {
    "accuracy 60 %": share(0.6),
    "accuracy 90 %": share(0.9),
    "accuracy 99 %": share(0.99, low=0.91),  # few errors: coverage rises and falls with n
    "background gap 10 points": gap(0.15, 0.05),
    "energy inside (beta)": mean(beta(2, 5), 2 / 7),
    "NLL (exponential)": mean(lambda generator, n: generator.exponential(0.7, n), 0.7, low=0.92),
    "balanced accuracy, 10 classes": classes(np.linspace(0.5, 0.98, 10)),
    "balanced accuracy, one prediction": classes(np.array([0.99, 0.01, 0.01, 0.01]), high=1),
    "worst of 10 equal groups": worst([0.8] * 10, (10, 20, 50), high=0.985),
    "worst of 4 groups": worst([0.7, 0.75, 0.95, 0.97], (10, 20, 50), high=0.985),
    "one bad group of 10": worst([0.5, *[0.95] * 9], (10, 20, 50), high=0.98),
    "ECE, overconfident": calibration(beta(6, 1.2), lambda c: 0.85 * c),
    "ECE, nearly calibrated": calibration(beta(8, 1), lambda c: np.clip(c - 0.04, 0, 1)),
    "ECE, calibrated": calibration(beta(5, 1.5), lambda c: c),
    "ECE, of both signs": calibration(
        beta(3, 1.5), lambda c: np.clip(c + 0.1 * np.sin(12 * c), 0, 1)
    ),
    "ECE, 30 points in one bin": calibration(
        beta(5, 1.5), lambda c: np.where((c > 10 / 15) & (c < 11 / 15), c - 0.3, c)
    ),
    "ECE, 5 points in the last bin": calibration(
        beta(8, 1), lambda c: np.where(c > 14 / 15, c - 0.05, c)
    ),
    "sanity, 8 draws": sanity(8),
}
"""What is called a 95 % interval."""
SPREADS: Mapping[str, Population] = {
    "mAP, 5 classes of 20 %": precision(0.2, (50, 200)),
    "mAP, 5 classes of 3 %": precision(0.03, (100, 300)),
    "location instability, 10 classes": instability((5, 30, 100)),
}
"""What is called a spread."""
GATES: Mapping[str, Population] = {
    "accuracy>=baseline, equal models": gate(pairs_of_shares(0.05, 0.05), AT_LEAST),
    "accuracy>=baseline-1, 1 point lower": gate(
        pairs_of_shares(0.055, 0.045), replace(AT_LEAST, number=-0.01)
    ),
    "nll<=baseline, equal models": gate(losses, AT_MOST),
    "five bounds accuracy>=baseline": gate(pairs_of_shares(0.05, 0.05), AT_LEAST, bounds=5),
    "ece<=baseline, equal models": gate_of_calibration(),
}
"""How often noise misses a bound against a baseline."""


def counted(population: Population, size: int, draws: int) -> float:
    """Return the share of the draws in which what is counted happened."""
    generator = np.random.default_rng(20)
    return float(np.mean([population.draw(generator, size) for _ in range(draws)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=800, help="data sets of each size")
    parser.add_argument("--only", default="", help="rows that begin like this")
    options = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for title, rows in (("interval", INTERVALS), ("spread", SPREADS), ("gate", GATES)):
        counts = "missed by noise" if rows is GATES else "coverage"
        print(f"\n| {title} | {counts} (n) |\n| --- | --- |")
        for name, population in rows.items():
            if name.startswith(options.only):
                sizes = {str(n): counted(population, n, options.draws) for n in population.sizes}
                found.setdefault(title, {})[name] = sizes
                cells = ", ".join(f"{value:.3f} ({n})" for n, value in sizes.items())
                print(f"| {name} | {cells} |", flush=True)
    if not options.only:
        document = {"draws": options.draws, "rows": found}
        Path(__file__).with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
