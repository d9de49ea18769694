from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ectool.models.objective import sample_losses


def several(n: int = 6, classes: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits, and labels of every kind; all labels of the last sample are ignored."""
    draw = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, classes, generator=draw, dtype=torch.float64)
    labels = torch.randint(-1, 2, (n, classes), generator=draw, dtype=torch.int8)
    labels[-1] = -1
    return logits, labels


def slow_loss(logits: list[float], labels: list[int]) -> float:
    """Average the negative log-probabilities of the valid labels, one by one."""
    losses = []
    for logit, label in zip(logits, labels, strict=True):
        if label >= 0:
            present = 1 / (1 + math.exp(-logit))
            losses.append(-math.log(present if label == 1 else 1 - present))
    return sum(losses) / len(losses) if losses else 0.0


def test_multilabel_losses_agree_with_the_definition():
    logits, labels = several()
    expected = [slow_loss(*rows) for rows in zip(logits.tolist(), labels.tolist(), strict=True)]
    assert sample_losses(logits, labels).tolist() == pytest.approx(expected, rel=1e-9)
    assert expected[-1] == 0


def test_one_label_is_cross_entropy_bit_for_bit():
    logits, _ = several()
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    expected = F.cross_entropy(logits, labels, reduction="none")
    assert torch.equal(sample_losses(logits, labels), expected)


def test_ignored_labels_have_no_gradient():
    logits, labels = several()
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(sample_losses(logits, labels).sum(), logits)
    assert not gradient[labels < 0].any()
    assert gradient[labels >= 0].all()


def test_a_sample_has_the_same_loss_in_any_batch():
    logits, labels = several()
    whole = sample_losses(logits, labels)
    for row in range(len(labels)):
        part = slice(row, row + 1)
        assert torch.equal(sample_losses(logits[part], labels[part]), whole[part])


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[1e4, -1e4], [1e4, -1e4]])
    labels = torch.tensor([[1, 0], [0, 1]], dtype=torch.int8)
    assert sample_losses(logits, labels).tolist() == [0, 1e4]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_losses_have_the_precision_of_the_logits(dtype):
    logits, labels = several()
    assert sample_losses(logits.to(dtype), labels).dtype == dtype
