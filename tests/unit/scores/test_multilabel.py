from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ectool.errors import InputError
from ectool.scores import blocks
from ectool.scores.multilabel import (
    LABEL_STABILITIES,
    average_over_labels,
    label_similarity,
)
from ectool.scores.similarity import SIMILARITIES
from ectool.scores.stability import STABILITIES
from ectool.scores.weights import explanation_consistency

NAMES = sorted(LABEL_STABILITIES)
CLASSES = 4


def sample(n: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of both halves, and targets of which one row is only filling."""
    rng = np.random.default_rng(seed)
    clean = rng.normal(scale=3, size=(n, CLASSES)).astype(np.float32)
    adversarial = clean + rng.normal(scale=3, size=clean.shape).astype(np.float32)
    targets = np.full((n, 3), -1)
    for row in targets[1:]:
        classes = np.sort(rng.choice(CLASSES, rng.integers(1, 4), replace=False))
        row[: len(classes)] = classes
    return clean, adversarial, targets


def maps(n: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    clean = np.maximum(rng.normal(size=(n, 3, 7, 7)), 0)
    adversarial = np.maximum(clean + 0.7 * rng.normal(size=clean.shape), 0)
    return clean.astype(np.float16), adversarial.astype(np.float16)


def slow_stability(name: str, clean: float, adversarial: float) -> float:
    p, q = (1 / (1 + math.exp(-logit)) for logit in (clean, adversarial))
    return {
        "probability": q,
        "softened": 1 / (1 + math.exp(-adversarial / 2)),
        "correct": float(clean > 0 and adversarial > 0),
        "total-variation": 1 - (abs(p - q) + abs((1 - p) - (1 - q))) / 2,
        "none": 1.0,
    }[name]


def test_there_is_one_for_every_stability():
    assert LABEL_STABILITIES.keys() == STABILITIES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_stability_equals_its_definition(name):
    clean, adversarial, targets = sample()
    scores = LABEL_STABILITIES[name](clean, adversarial, targets)
    for (row, column), target in np.ndenumerate(targets):
        if target < 0:
            assert np.isnan(scores[row, column])
            continue
        expected = slow_stability(name, float(clean[row, target]), float(adversarial[row, target]))
        assert scores[row, column] == pytest.approx(expected, abs=1e-6)


@settings(max_examples=60)
@given(both=arrays(np.float32, (2, 5, 3), elements=st.floats(width=32, allow_nan=False)))
def test_stability_is_within_zero_and_one_for_any_logits(both):
    targets = np.array([[0, 1, 2], [0, 2, -1], [1, -1, -1], [-1, -1, -1], [2, -1, -1]])
    for stability in LABEL_STABILITIES.values():
        scores = stability(*both, targets)
        assert scores.dtype == np.float32
        np.testing.assert_array_equal(np.isnan(scores), targets < 0)
        assert ((scores >= 0) & (scores <= 1))[targets >= 0].all()


@pytest.mark.parametrize("name", ["probability", "softened", "correct", "total-variation"])
def test_a_nan_logit_makes_its_own_label_undefined_and_no_other(name):
    clean, adversarial, _ = sample(n=2)
    targets = np.array([[0, 1], [0, 1]])
    adversarial[1, 1] = np.nan
    scores = LABEL_STABILITIES[name](clean, adversarial, targets)
    assert np.isnan(scores).tolist() == [[False, False], [False, True]]


@pytest.mark.parametrize("name", ["probability", "softened", "correct", "total-variation"])
@pytest.mark.parametrize("target", [-2, CLASSES])
def test_a_target_without_a_column_is_an_error(name, target):
    clean, adversarial, targets = sample()
    targets[3, 1] = target
    with pytest.raises(InputError, match=f"targets: expected classes 0 to 3.*got {target}"):
        LABEL_STABILITIES[name](clean, adversarial, targets)


@pytest.mark.parametrize("name", sorted(SIMILARITIES))
def test_similarity_is_that_of_each_pair(name):
    clean, adversarial = maps()
    clean[1, 0] = adversarial[1, 0] = 0
    _, _, targets = sample()
    scores = label_similarity(SIMILARITIES[name], clean, adversarial, targets)
    for row, column in np.ndindex(*targets.shape):
        expected = np.nan
        if targets[row, column] >= 0:
            pair = (half[row, column][None] for half in (clean, adversarial))
            expected = SIMILARITIES[name](*pair)[0]
        np.testing.assert_allclose(scores[row, column], expected, atol=1e-6)
    assert np.isnan(scores[1, 0])


def test_fillings_are_not_computed_and_blocks_are_bounded():
    n = 4 * blocks.BLOCK_ELEMENTS // (3 * 49)
    clean = np.ones((n, 3, 7, 7), dtype=np.float16)
    targets = np.full((n, 3), -1)
    targets[::2, 0] = 1
    sizes = []

    def similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        sizes.append(first.size)
        return (first * second)[:, 0, 0]

    scores = label_similarity(similarity, clean, clean, targets)
    np.testing.assert_array_equal(scores, np.where(targets >= 0, 1, np.nan))
    assert sum(sizes) == (targets >= 0).sum() * 49
    assert max(sizes) <= blocks.BLOCK_ELEMENTS
    assert len(sizes) > 1


@settings(max_examples=60)
@given(arrays(np.float32, (4, 3), elements=st.one_of(st.floats(0, 1, width=32), st.just(math.nan))))
def test_averages_are_those_of_the_defined_values(scores):
    expected = []
    for row in scores.tolist():
        defined = [value for value in row if not math.isnan(value)]
        expected.append(sum(defined) / len(defined) if defined else math.nan)
    found = average_over_labels(scores)
    assert found.dtype == np.float32
    # A mean below float32's least number is rounded to it, or to 0.
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=np.finfo(np.float32).tiny)


def test_consistency_of_labels_averages_to_that_of_samples():
    clean, adversarial, targets = sample()
    similar = label_similarity(SIMILARITIES["cosine"], *maps(), targets)
    stable = LABEL_STABILITIES["probability"](clean, adversarial, targets)
    consistency = average_over_labels(explanation_consistency(similar, stable))
    assert np.isnan(consistency).tolist() == [True] + [False] * 11
    values = [similar[1, k] * stable[1, k] for k in range(3) if targets[1, k] >= 0]
    assert consistency[1] == pytest.approx(np.mean(values))


def test_no_samples():
    logits, targets = np.zeros((0, CLASSES), np.float32), np.zeros((0, 3), np.int64)
    for stability in LABEL_STABILITIES.values():
        assert stability(logits, logits, targets).shape == (0, 3)
    none = np.zeros((0, 3, 7, 7), np.float16)
    assert label_similarity(SIMILARITIES["ssim"], none, none, targets).shape == (0, 3)
    assert average_over_labels(np.zeros((0, 3), np.float32)).shape == (0,)
