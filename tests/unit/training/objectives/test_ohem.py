from __future__ import annotations

import math

import pytest
import torch

from ectool.training.objectives.ohem import lowest
from tests.slow_losses import slow_losses


@pytest.mark.parametrize("labels", ["batch", "multilabel"])
@pytest.mark.parametrize(("share", "count"), [(0.1, 1), (0.5, 3), (0.6, 4), (1.0, 6)])
def test_only_the_hardest_images_are_learned(labels, share, count, loss_of, request):
    batch = request.getfixturevalue(labels)
    loss, logits = loss_of("ohem", batch, share=share)
    losses = slow_losses(logits, batch.labels)
    hardest = sorted(range(6), key=lambda row: -losses[row])[:count]
    terms = [batch.weights[row].item() * losses[row] for row in hardest]
    assert loss.item() == pytest.approx(sum(terms) / count, rel=1e-5)


def test_easy_images_have_no_gradient(loss_of, batch):
    loss, logits = loss_of("ohem", batch, share=1 / 6)
    (gradient,) = torch.autograd.grad(loss, logits)
    losses = slow_losses(logits, batch.labels)
    assert gradient.abs().sum(1).nonzero().flatten().tolist() == [losses.index(max(losses))]


@pytest.mark.parametrize("size", [1, 2, 7, 30])
@pytest.mark.parametrize("tenths", range(1, 11))
def test_the_number_of_the_lowest(size, tenths):
    values = torch.randperm(size).float()
    found = values[lowest(values, tenths / 10)].tolist()
    assert found == list(range(max(1, math.ceil(tenths * size / 10))))


def test_of_equal_values_the_first_are_the_lowest():
    assert lowest(torch.tensor([1.0, 0.0, 1.0, 0.0]), 0.75).tolist() == [1, 3, 0]
