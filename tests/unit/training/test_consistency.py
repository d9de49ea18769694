"""Consistency in torch against the definitions in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ectool.scores.multilabel import (
    average_over_labels,
    label_probability,
    label_similarity,
)
from ectool.scores.similarity import cosine as numpy_cosine
from ectool.scores.stability import probability
from ectool.training.consistency import consistency


@pytest.fixture
def draw():
    return np.random.default_rng(0)


def test_one_class_per_sample_as_score_has_it(draw):
    clean, perturbed = draw.random((2, 7, 3, 4), np.float32)
    perturbed[1] = 0
    logits, labels = draw.normal(size=(7, 5)).astype(np.float32), draw.integers(5, size=7)
    found = consistency(*map(torch.tensor, (clean, perturbed, logits, labels)))
    similarity, stability = numpy_cosine(clean, perturbed), probability(logits, labels)
    assert similarity[1] == 0
    np.testing.assert_allclose(found.similarity, similarity, rtol=1e-5)
    np.testing.assert_allclose(found.stability, stability, rtol=1e-5)
    np.testing.assert_allclose(
        found.explanation_consistency, similarity * stability, rtol=1e-5, atol=1e-7
    )


def test_several_labels_are_averaged_as_score_has_it(draw):
    clean, perturbed = draw.random((2, 4, 3, 2, 5), np.float32)
    logits = draw.normal(size=(4, 6)).astype(np.float32)
    targets = np.array([[0, 3, 5], [2, -1, -1], [-1, -1, -1], [1, 4, -1]])
    found = consistency(*map(torch.tensor, (clean, perturbed, logits, targets)))
    similarity = label_similarity(numpy_cosine, clean, perturbed, targets)
    stability = label_probability(logits, targets)
    for values, expected in zip(
        found, (similarity, stability, similarity * stability), strict=True
    ):
        np.testing.assert_allclose(values, average_over_labels(expected), rtol=1e-5)
    assert math.isnan(found.explanation_consistency[2])


def test_without_heatmaps_the_stability_counts():
    zero, logits = torch.zeros(1, 2, 2), torch.tensor([[0.0, math.log(3)]])
    found = consistency(zero, zero, logits, torch.tensor([1]))
    assert math.isnan(found.similarity)
    assert found.explanation_consistency.item() == pytest.approx(0.75)
    found = consistency(None, zero, logits, torch.tensor([1]))
    assert found.stability.item() == pytest.approx(0.75)
    assert math.isnan(found.explanation_consistency)


def test_the_scale_of_a_heatmap_does_not_matter(draw):
    clean, perturbed = (torch.tensor(m) for m in draw.random((2, 3, 4, 4), np.float32))
    logits, labels = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)
    first = consistency(clean, perturbed, logits, labels)
    for scale in (1e-25, 1e25):
        other = consistency(clean * scale, perturbed, logits, labels)
        torch.testing.assert_close(first.similarity, other.similarity)
