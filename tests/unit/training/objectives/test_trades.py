from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

from ectool.training.batch import Position

SETTINGS = {"eps": 8 / 255, "attack_steps": 2, "alpha": 3 / 255}


def place(seed=0):
    return Position(0, 0, 0.0, torch.Generator().manual_seed(seed))


def kl(logits, others):
    """Return the divergence of two rows of logits by its definition."""
    p, q = logits.softmax(0), others.softmax(0)
    return sum(a * (a.log() - b.log()) for a, b in zip(p, q, strict=True))


def attacked_slowly(model, image, start):
    clean = model(image[None])[0].detach()
    low, high = (image - 8 / 255).clamp(min=0), (image + 8 / 255).clamp(max=1)
    x = torch.minimum(torch.maximum(start, low), high)
    for _ in range(2):
        x = x.detach().requires_grad_()
        kl(clean, model(x[None])[0]).backward()
        x = torch.minimum(torch.maximum(x + 3 / 255 * x.grad.sign(), low), high)
    return x.detach()


def test_the_loss_is_its_definition(classifier, make, batch):
    frozen, training = copy.deepcopy(classifier).eval(), copy.deepcopy(classifier).train()
    noise = torch.randn(batch.pixels.shape, generator=torch.Generator().manual_seed(0))
    starts = batch.pixels + 0.001 * noise
    pairs = zip(batch.pixels, starts, strict=True)
    attacked = torch.stack([attacked_slowly(frozen, image, start) for image, start in pairs])
    logits, others = training(batch.pixels), training(attacked)
    losses = F.cross_entropy(logits, batch.labels, reduction="none")
    changes = torch.stack([kl(a, b) for a, b in zip(logits, others, strict=True)])
    expected = (batch.weights * (losses + 6 * changes)).mean()
    found = make("trades", strength=6.0, **SETTINGS)(classifier.train(), batch, place())
    torch.testing.assert_close(found.loss, expected, rtol=1e-4, atol=1e-5)
    assert changes.mean() > 1e-4


def test_without_strength_it_is_the_plain_loss(loss_of, batch, multilabel):
    for each in (batch, multilabel):
        plain = loss_of("erm", each).loss
        assert loss_of("trades", each, strength=0.0, **SETTINGS).loss.item() == pytest.approx(
            plain.item()
        )


def test_multilabel_images_are_attacked(loss_of, multilabel):
    plain = loss_of("erm", multilabel).loss
    assert loss_of("trades", multilabel, strength=6.0, **SETTINGS).loss > plain + 1e-4
