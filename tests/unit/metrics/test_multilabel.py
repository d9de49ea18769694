"""Average precision against the VOC devkit, scikit-learn and plain loops."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.metrics import average_precision_score

from ectool.errors import InputError
from ectool.metrics.multilabel import (
    average_precision,
    class_table,
    exact_match,
    label_accuracy,
    mean_average_precision,
    mean_average_precision_interval,
)

KINDS = ("all-points", "11-point")
LABELS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([1, 0, -1])), min_size=1, max_size=25
)


def draw(n: int = 60, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores without ties that depend on the labels, and labels of all three kinds."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array([1, 0, -1], np.int8), size=(n, classes), p=[0.3, 0.6, 0.1])
    scores = rng.normal(size=labels.shape) + labels
    return scores.astype(np.float32), labels


def column(values: list[int]) -> np.ndarray:
    return np.array(values)[:, None]


def devkit(scores: np.ndarray, labels: np.ndarray, kind: str) -> float:
    """Redo VOCevalcls.m line by line; there 1 is present, -1 absent and 0 difficult."""
    truth = {1: 1, 0: -1, -1: 0}
    ranked = [truth[int(label)] for label in labels[np.argsort(-scores, kind="stable")]]
    positives = ranked.count(1)
    recall, precision = [], []
    for stop in range(1, len(ranked) + 1):
        hits, misses = ranked[:stop].count(1), ranked[:stop].count(-1)
        recall.append(Fraction(hits, positives))
        precision.append(hits / (hits + misses) if hits + misses else 0.0)
    if kind == "11-point":
        levels = [Fraction(step, 10) for step in range(11)]
        return sum(
            max((p for p, r in zip(precision, recall, strict=True) if r >= level), default=0.0) / 11
            for level in levels
        )
    recall, precision = [Fraction(0), *recall, Fraction(1)], [0.0, *precision, 0.0]
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    return sum(
        float(recall[i] - recall[i - 1]) * precision[i]
        for i in range(1, len(recall))
        if recall[i] != recall[i - 1]
    )


def by_definition(pairs: list[tuple[float, int]], kind: str) -> float:
    """Take every score as the threshold; integrate the best precision at that recall or more."""
    counting = [(score, label) for score, label in pairs if label >= 0]
    positives = sum(label for _, label in counting)
    if positives == 0:
        return math.nan
    points = []
    for threshold, _ in counting:
        retrieved = [label for score, label in counting if score >= threshold]
        points.append((Fraction(sum(retrieved), positives), sum(retrieved) / len(retrieved)))
    count = 10 if kind == "11-point" else positives
    levels = [Fraction(step, count) for step in range(0 if kind == "11-point" else 1, count + 1)]
    best = [max(precision for recall, precision in points if recall >= r) for r in levels]
    return sum(best) / len(best)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_without_ties_it_is_that_of_the_devkit(kind, seed):
    scores, labels = draw(seed=seed)
    expected = [devkit(scores[:, c], labels[:, c], kind) for c in range(labels.shape[1])]
    assert average_precision(scores, labels, interpolation=kind) == pytest.approx(expected)


@settings(max_examples=100)
@given(pairs=LABELS, kind=st.sampled_from(KINDS))
def test_with_ties_it_is_its_definition(pairs, kind):
    scores, labels = (column(list(values)) for values in zip(*pairs, strict=True))
    found = average_precision(scores.astype(float), labels.astype(np.int8), interpolation=kind)
    assert found[0] == pytest.approx(by_definition(pairs, kind), nan_ok=True)


def test_a_worked_example():
    scores = column([9, 8, 7, 6, 5]).astype(float)
    labels = column([1, 0, 1, 0, 1]).astype(np.int8)
    assert average_precision(scores, labels) == pytest.approx([(1 + 2 / 3 + 3 / 5) / 3])
    eleven = average_precision(scores, labels, interpolation="11-point")
    assert eleven == pytest.approx([(4 * 1 + 3 * 2 / 3 + 4 * 3 / 5) / 11])


def test_recall_levels_are_exact():
    assert 3 * 0.1 > 0.3
    labels = column([1, 1, 1] + [0] * 90 + [1] * 7).astype(np.int8)
    scores = -np.arange(100.0)[:, None]
    found = average_precision(scores, labels, interpolation="11-point")
    assert found == pytest.approx([(4 * 1 + 7 * 10 / 100) / 11])


@settings(max_examples=100)
@given(pairs=LABELS)
def test_it_is_that_of_scikit_learn_where_precision_only_falls(pairs):
    """Both differ in the envelope only, which has no effect where misses follow hits."""
    counting = [(score, label) for score, label in pairs if label >= 0]
    if not any(label for _, label in counting):
        return
    hits = sorted(score for score, label in counting if label)
    moved = [(score if label else min(score, hits[0]), label) for score, label in counting]
    scores, labels = (np.array(values) for values in zip(*moved, strict=True))
    expected = average_precision_score(labels, scores)
    found = average_precision(scores[:, None].astype(float), labels[:, None].astype(np.int8))
    assert found[0] == pytest.approx(expected)


def test_it_is_never_below_that_of_scikit_learn():
    scores, labels = draw(n=300)
    labels = np.maximum(labels, 0)
    theirs = [average_precision_score(labels[:, c], scores[:, c]) for c in range(4)]
    ours = average_precision(scores, labels)
    assert (ours > theirs).all()
    assert ours == pytest.approx(theirs, abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_samples_has_no_effect(kind):
    scores, labels = draw()
    scores = np.round(scores)
    expected = average_precision(scores, labels, interpolation=kind)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(scores))
        found = average_precision(scores[order], labels[order], interpolation=kind)
        np.testing.assert_array_equal(found, expected)


def test_uncounted_labels_are_ignored():
    scores, labels = draw(classes=1)
    kept = labels[:, 0] >= 0
    assert not kept.all()
    np.testing.assert_array_equal(
        average_precision(scores, labels), average_precision(scores[kept], labels[kept])
    )


@pytest.mark.parametrize("kind", KINDS)
def test_constant_scores_have_the_share_of_positives(kind):
    _, labels = draw()
    expected = [(labels[:, c] == 1).sum() / (labels[:, c] >= 0).sum() for c in range(4)]
    found = average_precision(np.zeros(labels.shape), labels, interpolation=kind)
    assert found == pytest.approx(expected)


def test_only_the_order_of_the_scores_matters():
    scores, labels = draw()
    for monotone in (lambda s: s * 100 - 7, lambda s: 1 / (1 + np.exp(-s.astype(np.float64)))):
        found = average_precision(monotone(scores), labels)
        np.testing.assert_array_equal(found, average_precision(scores, labels))


def test_nan_ranks_last():
    labels = column([1, 0, 0]).astype(np.int8)
    scores = np.array([[np.nan], [-1e30], [0.0]])
    assert average_precision(scores, labels) == pytest.approx([1 / 3])
    assert average_precision(scores[::-1], labels) == pytest.approx([1])


def test_classes_without_a_positive_are_undefined_and_left_out_of_the_mean():
    scores, labels = draw()
    labels[:, 1] = np.minimum(labels[:, 1], 0)
    labels[:, 2] = -1
    found = average_precision(scores, labels)
    assert np.isnan(found).tolist() == [False, True, True, False]
    assert mean_average_precision(scores, labels) == pytest.approx((found[0] + found[3]) / 2)
    assert math.isnan(mean_average_precision(scores[:, 1:3], labels[:, 1:3]))
    assert math.isnan(mean_average_precision(scores[:0], labels[:0]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_spread_redone_resample_by_resample(kind):
    scores, labels = draw(n=12, classes=3)
    scores[::3] = np.round(scores[::3])
    labels[:, 2] = 0
    labels[5, 2] = 1
    found = mean_average_precision_interval(
        scores, labels, interpolation=kind, confidence=0.8, resamples=60, seed=3
    )
    means = []
    for rows in np.random.default_rng(3).integers(12, size=(60, 12)):
        values = [
            by_definition([(scores[i, c], int(labels[i, c])) for i in rows], kind) for c in range(3)
        ]
        means.append(np.mean([value for value in values if not math.isnan(value)]))
    assert found.value == mean_average_precision(scores, labels, interpolation=kind)
    logits = logit(means)
    centre = 2 * logit(found.value) - logits.mean()
    half = norm.ppf(0.9) * logits.std()
    low, high = expit(centre - half), expit(centre + half)
    assert (found.low, found.high) == pytest.approx((min(low, found.value), max(high, found.value)))
    assert (found.n, found.kind) == (12, "spread")


def test_the_interval_narrows_with_the_samples():
    widths = []
    for n in (100, 1600):
        estimate = mean_average_precision_interval(*draw(n=n), resamples=200)
        assert estimate.low < estimate.value < estimate.high
        widths.append(estimate.high - estimate.low)
    assert widths[1] < widths[0] / 2.5


def test_no_interval_without_a_positive():
    scores, labels = draw()
    estimate = mean_average_precision_interval(scores, np.minimum(labels, 0))
    assert (estimate.n, math.isnan(estimate.value), math.isnan(estimate.low)) == (60, True, True)


def test_the_table_of_classes():
    scores, labels = draw()
    lines = class_table(scores, labels, ("a", "b", "c", "d"))
    assert [line.name for line in lines] == ["a", "b", "c", "d"]
    for number, line in enumerate(lines):
        assert line.average_precision == average_precision(scores, labels)[number]
        assert line.present == labels[:, number].tolist().count(1)
        assert line.absent == labels[:, number].tolist().count(0)


def test_correct_labels_redone_label_by_label():
    logits = np.array([[2.0, -1.0, 0.5], [1.0, 1.0, 1.0], [0.0, -1.0, -1.0], [9.0, 9.0, np.nan]])
    labels = np.array([[1, 0, 0], [-1, 1, -1], [-1, -1, -1], [1, 1, 0]], np.int8)
    expected = [2 / 3, 1.0, math.nan, 2 / 3]
    assert label_accuracy(logits, labels) == pytest.approx(expected, nan_ok=True)
    np.testing.assert_array_equal(exact_match(logits, labels), [0, 1, np.nan, 0])


def test_a_logit_of_zero_predicts_absent():
    logits, labels = np.zeros((1, 2)), np.array([[0, 1]], np.int8)
    assert label_accuracy(logits, labels).tolist() == [0.5]


@pytest.mark.parametrize("metric", [average_precision, label_accuracy, exact_match])
def test_bad_labels_are_an_error(metric):
    scores, labels = draw()
    with pytest.raises(InputError, match=r"expected shape \(60, 4\).*got \(50, 4\)"):
        metric(scores, labels[:50])
    labels[3, 1] = 2
    with pytest.raises(InputError, match=r"1 \(present\), 0 \(absent\) or -1.*got 2"):
        metric(scores, labels)
