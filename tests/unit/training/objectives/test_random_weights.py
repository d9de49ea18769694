from __future__ import annotations

import pytest
import torch

from ectool.training.batch import Position
from tests.slow_losses import slow_losses


def place(seed):
    return Position(0, 0, 0.0, torch.Generator().manual_seed(seed))


def factors(make, classifier, batch, seed):
    """Return the weight of each sample: the part of its loss in that of the batch."""
    objective, found = make("random"), []
    for row in range(6):
        alone = torch.zeros(6)
        alone[row] = 1
        one = type(batch)(batch.pixels, batch.labels, alone, batch.rows)
        loss, logits = objective(classifier.eval(), one, place(seed))
        found.append(6 * loss.item() / slow_losses(logits, one.labels)[row])
    return found


@pytest.mark.parametrize("labels", ["batch", "multilabel"])
def test_weights_multiply_the_losses(labels, make, classifier, batch, request):
    several = request.getfixturevalue(labels)
    loss, logits = make("random")(classifier.eval(), several, place(3))
    terms = zip(
        factors(make, classifier, batch, 3),
        several.weights.tolist(),
        slow_losses(logits, several.labels),
        strict=True,
    )
    assert loss.item() == pytest.approx(sum(r * w * x for r, w, x in terms) / 6, rel=1e-4)


def test_weights_have_an_exponential_distribution_and_differ_by_step(make, classifier, batch):
    found = torch.tensor([factors(make, classifier, batch, seed) for seed in range(50)]).flatten()
    # Of 300 draws of mean 1 and variance 1: within four standard errors.
    assert found.mean().item() == pytest.approx(1, abs=4 / 300**0.5)
    assert (found < 0.6931).float().mean().item() == pytest.approx(0.5, abs=2 / 300**0.5)
    assert found.min() >= 0
    assert len(found.unique()) > 290
