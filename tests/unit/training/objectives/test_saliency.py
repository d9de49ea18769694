from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ectool.training.batch import Position

SHARE = 0.4


def place():
    return Position(0, 0, 0.0, torch.Generator().manual_seed(0))


def masked_slowly(classifier, image, label, noise):
    """Return the image with its pixels of smallest gradient at random values."""
    leaf = image.clone().requires_grad_()
    classifier(leaf[None])[0, label].backward()
    saliency = leaf.grad.mean(0).abs().flatten().numpy()
    masked = image.clone()
    for pixel in np.argsort(saliency, kind="stable")[: int(SHARE * 256)]:
        for channel in range(3):
            low, high = image[channel].min(), image[channel].max()
            y, x = divmod(int(pixel), 16)
            masked[channel, y, x] = low + (high - low) * noise[channel, y, x]
    return masked


def test_the_loss_is_its_definition(classifier, make, batch):
    evaluated, training = copy.deepcopy(classifier).eval(), copy.deepcopy(classifier).train()
    noise = torch.rand(batch.pixels.shape, generator=torch.Generator().manual_seed(0))
    masked = torch.stack(
        [
            masked_slowly(evaluated, *each)
            for each in zip(batch.pixels, batch.labels.tolist(), noise, strict=True)
        ]
    )
    logits, others = training(batch.pixels), training(masked)
    total = F.cross_entropy(logits, batch.labels, reduction="none") + 2 * F.kl_div(
        others.log_softmax(1), logits.softmax(1), reduction="none"
    ).sum(1)
    objective = make("saliency", share=SHARE, strength=2.0)
    found = objective(classifier.train(), batch, place())
    torch.testing.assert_close(found.loss, (batch.weights * total).mean(), rtol=1e-4, atol=1e-5)
    assert all(p.grad is None for p in classifier.parameters())


def test_without_strength_it_is_the_plain_loss(loss_of, multilabel):
    plain = loss_of("erm", multilabel).loss.item()
    found = loss_of("saliency", multilabel, share=0.5, strength=0.0).loss.item()
    assert found == pytest.approx(plain)
    assert loss_of("saliency", multilabel, share=0.5, strength=1.0).loss > plain
