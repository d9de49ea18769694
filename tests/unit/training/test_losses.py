"""Losses against their definitions."""

import math

import pytest
import torch
from torch.nn import functional as F

from ectool.training.losses import divergence, weighted_loss


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 4, generator=draw, dtype=torch.float64)
    labels = torch.randint(0, 4, (7,), generator=draw)
    return logits, labels, 3 * torch.rand(7, generator=draw, dtype=torch.float64)


def test_is_the_mean_of_weighted_negative_log_probabilities(batch):
    logits, labels, weights = batch
    total = 0.0
    for row, label, weight in zip(logits.tolist(), labels.tolist(), weights.tolist(), strict=True):
        normalizer = math.log(sum(math.exp(value) for value in row))
        total += weight * (normalizer - row[label])
    assert weighted_loss(*batch).item() == pytest.approx(total / 7, rel=1e-12)


def test_ones_give_plain_cross_entropy_bit_for_bit(batch):
    logits, labels, weights = batch
    found = weighted_loss(logits, labels, torch.ones_like(weights))
    assert torch.equal(found, F.cross_entropy(logits, labels))


def test_is_not_divided_by_the_weights_of_the_batch(batch):
    logits, labels, weights = batch
    twice = weighted_loss(logits, labels, 2 * weights)
    assert torch.equal(twice, 2 * weighted_loss(*batch))


def test_gradient_of_a_sample_is_proportional_to_its_weight(batch):
    logits, labels, weights = batch
    logits.requires_grad_()
    (plain,) = torch.autograd.grad(F.cross_entropy(logits, labels), logits)
    (weighted,) = torch.autograd.grad(weighted_loss(logits, labels, weights), logits)
    torch.testing.assert_close(weighted, weights[:, None] * plain)


def test_weight_zero_silences_a_sample(batch):
    logits, labels, weights = batch
    weights[2] = 0
    other = logits.clone()
    other[2] = torch.tensor([5.0, -5.0, 0.0, 1.0])
    assert torch.equal(
        weighted_loss(logits, labels, weights),
        weighted_loss(other, labels, weights),
    )


def test_multilabel_samples_are_weighted_like_one(batch):
    logits, _, weights = batch
    draw = torch.Generator().manual_seed(1)
    labels = torch.randint(-1, 2, (7, 4), generator=draw, dtype=torch.int8)
    total = 0.0
    for row, marks, weight in zip(logits.tolist(), labels.tolist(), weights.tolist(), strict=True):
        terms = [
            math.log1p(math.exp(-value if mark else value))
            for value, mark in zip(row, marks, strict=True)
            if mark >= 0
        ]
        total += weight * sum(terms) / max(1, len(terms))
    assert weighted_loss(logits, labels, weights).item() == pytest.approx(total / 7, rel=1e-12)


def test_the_divergence_is_that_of_torch():
    draw = torch.Generator().manual_seed(0)
    logits, others = torch.randn(2, 5, 4, generator=draw)
    expected = F.kl_div(others.log_softmax(1), logits.softmax(1), reduction="none").sum(1)
    torch.testing.assert_close(divergence(logits, others, torch.zeros(5).long()), expected)


def test_the_divergence_of_multilabel_data_is_the_mean_over_labels():
    draw = torch.Generator().manual_seed(0)
    logits, others = torch.randn(2, 2, 3, generator=draw)
    labels = torch.tensor([[1, -1, 0], [-1, -1, -1]], dtype=torch.int8)
    terms = []
    for k in (0, 2):
        p, q = logits[0, k].sigmoid(), others[0, k].sigmoid()
        terms.append(p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log())
    expected = torch.stack([sum(terms) / 2, torch.tensor(0.0)])
    torch.testing.assert_close(divergence(logits, others, labels), expected)
