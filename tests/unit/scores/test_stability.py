from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ectool.errors import InputError
from ectool.scores.stability import (
    STABILITIES,
    correct,
    none,
    probability,
    softened,
    total_variation,
)

NAMES = sorted(STABILITIES)


def logits(n: int = 20, classes: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    clean = rng.normal(scale=3, size=(n, classes)).astype(np.float32)
    adversarial = clean + rng.normal(scale=3, size=(n, classes)).astype(np.float32)
    return clean, adversarial, rng.integers(0, classes, n)


def slow_softmax(row):
    powers = [math.exp(value) for value in row.tolist()]
    return [power / sum(powers) for power in powers]


def test_probability_equals_its_definition():
    _, adversarial, labels = logits()
    for row, label, score in zip(
        adversarial, labels, probability(adversarial, labels), strict=True
    ):
        assert score == pytest.approx(slow_softmax(row)[label], abs=1e-6)


def test_softened_equals_its_definition_and_keeps_the_order_of_two_classes():
    _, adversarial, labels = logits()
    found = softened(adversarial, labels)
    for row, label, score in zip(adversarial, labels, found, strict=True):
        assert score == pytest.approx(slow_softmax(row / 2)[label], abs=1e-6)
    two, first = adversarial[:, :2], labels * 0
    order = np.argsort(probability(two, first))
    assert (np.diff(softened(two, first)[order]) >= 0).all()


def test_total_variation_equals_its_definition():
    clean, adversarial, _ = logits()
    for a, b, score in zip(clean, adversarial, total_variation(clean, adversarial), strict=True):
        pairs = zip(slow_softmax(a), slow_softmax(b), strict=True)
        assert score == pytest.approx(1 - sum(abs(p - q) for p, q in pairs) / 2, abs=1e-6)


def test_total_variation_at_its_ends():
    clean = np.array([[1.0, 2.0], [1000.0, 0.0]])
    adversarial = np.array([[6.0, 7.0], [0.0, 1000.0]])
    assert total_variation(clean, adversarial).tolist() == pytest.approx([1, 0])


def test_correct_compares_both_predictions_with_the_label():
    clean = np.array([[2.0, 1.0], [2.0, 1.0], [1.0, 2.0], [1.0, 2.0]])
    adversarial = np.array([[2.0, 1.0], [1.0, 2.0], [2.0, 1.0], [1.0, 2.0]])
    labels = np.zeros(4, dtype=np.int64)
    assert correct(clean, adversarial, labels).tolist() == [1, 0, 0, 0]


def test_none_is_one():
    assert none(np.arange(3)).tolist() == [1, 1, 1]


@settings(max_examples=60)
@given(
    both=arrays(np.float32, (2, 5, 3), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    labels=arrays(np.int64, 5, elements=st.integers(0, 2)),
)
def test_scores_are_within_zero_and_one_for_extreme_logits(both, labels):
    for stability in STABILITIES.values():
        scores = stability(*both, labels)
        assert scores.dtype == np.float32
        assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("name", NAMES)
def test_adding_a_constant_to_the_logits_changes_nothing(name):
    clean, adversarial, labels = logits()
    expected = STABILITIES[name](clean, adversarial, labels)
    shifted = STABILITIES[name](clean + np.float32(512), adversarial + np.float32(512), labels)
    np.testing.assert_allclose(shifted, expected, atol=1e-3)


@pytest.mark.parametrize("name", ["probability", "softened", "correct", "total-variation"])
def test_nan_logits_are_undefined(name):
    clean, adversarial, labels = logits(n=3)
    adversarial[1, 2] = np.nan
    scores = STABILITIES[name](clean, adversarial, labels)
    assert np.isnan(scores).tolist() == [False, True, False]


@pytest.mark.parametrize("name", ["probability", "softened", "correct"])
@pytest.mark.parametrize("label", [-1, 4])
def test_label_without_a_column_is_an_error(name, label):
    clean, adversarial, labels = logits()
    labels[3] = label
    with pytest.raises(InputError, match=f"labels: expected classes 0 to 3, got {label}"):
        STABILITIES[name](clean, adversarial, labels)


@pytest.mark.parametrize("name", NAMES)
def test_samples_do_not_mix(name):
    clean, adversarial, labels = logits()
    whole = STABILITIES[name](clean, adversarial, labels)
    for i in range(len(labels)):
        part = slice(i, i + 1)
        assert STABILITIES[name](clean[part], adversarial[part], labels[part]) == whole[i]


@pytest.mark.parametrize("name", NAMES)
def test_no_samples(name):
    empty = np.zeros((0, 4), dtype=np.float32)
    assert STABILITIES[name](empty, empty, np.zeros(0, dtype=np.int64)).shape == (0,)
