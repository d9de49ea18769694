from __future__ import annotations

import math

import pytest
from torch.nn import functional as F


@pytest.mark.parametrize("strength", [0.0, 0.1, 1.0])
def test_the_loss_is_that_of_torch(loss_of, batch, strength):
    loss, logits = loss_of("label-smoothing", batch, strength=strength)
    losses = F.cross_entropy(logits, batch.labels, reduction="none", label_smoothing=strength)
    assert loss.item() == pytest.approx((batch.weights * losses).mean().item(), rel=1e-6)


def test_targets_of_multilabel_data_move_towards_one_half(loss_of, multilabel):
    loss, logits = loss_of("label-smoothing", multilabel, strength=0.2)
    total = 0.0
    rows = zip(logits.tolist(), multilabel.labels.tolist(), strict=True)
    for (row, labels), weight in zip(rows, multilabel.weights.tolist(), strict=True):
        terms = []
        for logit, label in zip(row, labels, strict=True):
            if label >= 0:
                target, p = 0.8 * label + 0.2 / 2, 1 / (1 + math.exp(-logit))
                terms.append(-target * math.log(p) - (1 - target) * math.log(1 - p))
        total += weight * sum(terms) / max(len(terms), 1)
    assert loss.item() == pytest.approx(total / 6, rel=1e-5)
