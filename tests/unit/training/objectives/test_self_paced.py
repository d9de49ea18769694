from __future__ import annotations

import math

import pytest
import torch

from ectool.training.batch import Position
from tests.slow_losses import slow_losses


@pytest.mark.parametrize("labels", ["batch", "multilabel"])
@pytest.mark.parametrize("progress", [0.0, 0.3, 0.5, 0.9, 0.999])
def test_the_easiest_images_become_more(labels, progress, make, classifier, request):
    batch = request.getfixturevalue(labels)
    objective = make("self-paced", share=0.2)
    place = Position(3, 1, progress, torch.Generator())
    loss, logits = objective(classifier.train(), batch, place)
    losses = slow_losses(logits, batch.labels)
    count = math.ceil(6 * (0.2 + 0.8 * progress))
    threshold = sorted(losses)[count - 1]  # 1 / K
    terms = [
        (weight * x)
        for weight, x in zip(batch.weights.tolist(), losses, strict=True)
        if x <= threshold
    ]
    assert loss.item() == pytest.approx(sum(terms) / count, rel=1e-5)


def test_at_a_share_of_one_it_is_the_plain_loss(loss_of, batch):
    plain = loss_of("erm", batch).loss
    assert loss_of("self-paced", batch, share=1.0).loss.item() == pytest.approx(plain.item())
