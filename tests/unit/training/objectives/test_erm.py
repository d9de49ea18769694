from __future__ import annotations

import pytest

from ectool.models.objective import sample_losses


def test_the_loss_is_the_weighted_mean(loss_of, batch, classifier):
    loss, logits = loss_of("erm", batch)
    losses = sample_losses(logits, batch.labels)
    terms = [w * x for w, x in zip(batch.weights.tolist(), losses.tolist(), strict=True)]
    assert loss.item() == pytest.approx(sum(terms) / 6)
    assert (logits == classifier(batch.pixels)).all()
