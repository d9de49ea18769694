from __future__ import annotations

import math

import pytest


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_loss_is_its_definition(loss_of, batch, gamma):
    loss, logits = loss_of("focal", batch, gamma=gamma)
    total = 0.0
    rows = zip(logits.tolist(), batch.labels.tolist(), batch.weights.tolist(), strict=True)
    for row, label, weight in rows:
        p = math.exp(row[label]) / sum(map(math.exp, row))
        total -= weight * (1 - p) ** gamma * math.log(p)
    assert loss.item() == pytest.approx(total / 6, rel=1e-5)


def test_without_exponent_it_is_the_plain_loss(loss_of, multilabel):
    plain = loss_of("erm", multilabel).loss
    assert loss_of("focal", multilabel, gamma=0.0).loss.item() == pytest.approx(plain.item())


def test_a_certain_prediction_has_a_finite_gradient(loss_of, batch, classifier):
    for parameter in classifier.parameters():
        parameter.data.mul_(1e3)
    loss_of("focal", batch, gamma=0.5).loss.backward()
    assert all(p.grad.isfinite().all() for p in classifier.parameters() if p.grad is not None)
