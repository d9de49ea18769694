"""Similarities, stabilities and scores of single maps against scipy and their definitions."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from scipy.stats import entropy, spearmanr

from ectool.scores import candidates


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(7, 4, 5)).astype(np.float32)
    return first, first + rng.normal(size=first.shape).astype(np.float32)


@pytest.fixture
def logits():
    rng = np.random.default_rng(1)
    clean, other = (rng.normal(scale=3, size=(6, 4)).astype(np.float32) for _ in range(2))
    return clean, other, rng.integers(4, size=6)


def test_rank_correlation_equals_scipys_and_is_clipped(maps):
    found = candidates.rank_correlation(*maps)
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(*maps, strict=True)]
    np.testing.assert_allclose(found, np.maximum(expected, 0), atol=1e-6)


def test_scaled_cosine_ignores_shift_and_scale(maps):
    first, second = maps
    found = candidates.scaled_cosine(first, second)
    np.testing.assert_allclose(candidates.scaled_cosine(3 * first + 2, second), found, atol=1e-5)
    scaled = [(m - m.min()) / (m.max() - m.min()) for m in (first[0], second[0])]
    cosine = (scaled[0] * scaled[1]).sum() / np.sqrt(
        (scaled[0] ** 2).sum() * (scaled[1] ** 2).sum()
    )
    assert found[0] == pytest.approx(cosine, abs=1e-6)


def test_stabilities_equal_their_definitions(logits):
    clean, other, labels = logits
    found = candidates.stabilities(clean, other, labels)
    for i, label in enumerate(labels):
        p, q = softmax(clean[i].astype(float)), softmax(other[i].astype(float))
        rival = np.delete(other[i].astype(float), label).max()
        expected = {
            "probability": q[label],
            "softened": softmax(other[i].astype(float) / 2)[label],
            "margin": 1 / (1 + np.exp(rival - other[i, label])),
            "drop": 1 - max(p[label] - q[label], 0),
            "total-variation": 1 - np.abs(p - q).sum() / 2,
            "jensen-shannon": 1 - jensenshannon(p, q, base=2) ** 2,
        }
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name][i] == pytest.approx(value, abs=1e-6), name


def test_similarities_of_equal_maps_are_one_and_of_no_evidence_zero(maps):
    first, _ = maps
    for name, scores in candidates.similarities(first, first, first).items():
        np.testing.assert_allclose(scores, 1, atol=1e-6, err_msg=name)
    none = np.zeros_like(first)
    for name, scores in candidates.similarities(first, none, none).items():
        if name != "rank":
            assert (scores == 0).all(), name


def test_scores_of_single_maps(maps):
    first, _ = maps
    found = candidates.map_scores(first)
    for i, one in enumerate(np.maximum(first, 0).reshape(7, -1)):
        assert found["evidence"][i] == pytest.approx(one.mean(), rel=1e-6)
        assert found["peak"][i] == pytest.approx(one.max())
        assert found["focus"][i] == pytest.approx(1 - entropy(one) / np.log(20), abs=1e-6)
