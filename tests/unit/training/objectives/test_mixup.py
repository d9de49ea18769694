from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ectool.training.batch import Position
from ectool.training.objectives.mixup import draw_share


class Record(torch.nn.Module):
    """Keeps the pixels that a model receives."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        self.pixels = pixels
        return self.model(pixels)


def mixture(batch, pixels):
    """Find the second image and the part of the first one in each mixture, by trying all pairs."""
    found = []
    for row, image in enumerate(pixels):
        own = batch.pixels[row]
        fits = [(row, 1.0)] if torch.allclose(image, own) else []
        for other in {*range(6)} - {row} if not fits else ():
            way = batch.pixels[other] - own
            share = float(1 - ((image - own) * way).sum() / (way * way).sum())
            if torch.allclose(share * own + (1 - share) * batch.pixels[other], image, atol=1e-5):
                fits.append((other, share))
        found += fits
    return found


def soft_loss(logits, batch, row, other, share):
    """Return the loss of mixed targets times their weights, with the losses of torch."""
    weights = share * batch.weights[row], (1 - share) * batch.weights[other]
    targets = [F.one_hot(batch.labels[index], 3).float() for index in (row, other)]
    target = weights[0] * targets[0] + weights[1] * targets[1]
    return F.cross_entropy(logits[row : row + 1], target[None], reduction="sum").item()


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_that_of_mixed_images_and_labels(make, classifier, batch, seed):
    model = Record(classifier)
    place = Position(0, 0, 0.0, torch.Generator().manual_seed(seed))
    loss, logits = make("mixup", strength=1.0)(model, batch, place)
    found = mixture(batch, model.pixels)
    assert sorted(other for other, _ in found) == list(range(6))
    shares = [share for row, (other, share) in enumerate(found) if other != row]
    assert shares == pytest.approx([shares[0]] * len(shares), abs=1e-4)
    assert 1 / 2 <= shares[0] < 1
    terms = [soft_loss(logits, batch, r, other, shares[0]) for r, (other, _) in enumerate(found)]
    assert loss.item() == pytest.approx(sum(terms) / 6, rel=1e-4)


def test_multilabel_targets_are_mixed(make, classifier, multilabel):
    labels = multilabel.labels.clamp(min=0)
    batch = type(multilabel)(multilabel.pixels, labels, torch.ones(6), multilabel.rows)
    model = Record(classifier)
    place = Position(0, 0, 0.0, torch.Generator().manual_seed(1))
    loss, logits = make("mixup", strength=1.0)(model, batch, place)
    others, shares = map(list, zip(*mixture(batch, model.pixels), strict=True))
    share = torch.tensor(shares)[:, None]
    targets = share * labels + (1 - share) * labels[others]
    assert loss.item() == pytest.approx(
        F.binary_cross_entropy_with_logits(logits, targets).item(), rel=1e-4
    )


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_have_their_distribution(alpha):
    draw = torch.Generator().manual_seed(0)
    shares = np.array([draw_share(alpha, draw) for _ in range(2000)])
    variance = 1 / (4 * (2 * alpha + 1))
    assert shares.mean() == pytest.approx(0.5, abs=4 * (variance / 2000) ** 0.5)
    assert shares.var() == pytest.approx(variance, rel=0.15)
    assert 0 <= shares.min() <= shares.max() <= 1


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_without_strength_it_is_the_plain_loss(name, loss_of, batch):
    plain, share = loss_of("erm", batch).loss.item(), {"share": 1.0} if name == "cutmix" else {}
    assert loss_of(name, batch, strength=0.0, **share).loss.item() == pytest.approx(plain)
