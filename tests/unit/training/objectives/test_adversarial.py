from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

from ectool.training.batch import Position
from ectool.training.objectives import OBJECTIVES, Setup

EPS, STEPS, ALPHA = 16 / 255, 2, 10 / 255
SETTINGS = {"eps": EPS, "attack_steps": STEPS, "alpha": ALPHA}


def place(seed=0):
    return Position(0, 0, 0.0, torch.Generator().manual_seed(seed))


def attacked_slowly(classifier, image, label, start):
    """Return one attacked image by the definition: signs of the gradient of the loss, clipped."""
    model, x = copy.deepcopy(classifier).eval(), start
    low, high = (image - EPS).clamp(min=0), (image + EPS).clamp(max=1)
    x = torch.minimum(torch.maximum(x, low), high)
    for _ in range(STEPS):
        x = x.detach().requires_grad_()
        F.cross_entropy(model(x[None]), label[None]).backward()
        x = torch.minimum(torch.maximum(x + ALPHA * x.grad.sign(), low), high)
    return x.detach()


def test_a_share_of_the_images_is_attacked(classifier, make, batch):
    objective = make("adversarial", mix=0.5, **SETTINGS)
    first = objective.memory.levels.clone()
    assert first.abs().max() == 16
    images = batch.pixels.clone()
    chosen = torch.rand(6, generator=torch.Generator().manual_seed(0)) < 0.5
    assert 0 < chosen.sum() < 6
    for i in chosen.nonzero()[:, 0].tolist():
        start = images[i] + first[batch.rows[i]] / 255
        images[i] = attacked_slowly(classifier, images[i], batch.labels[i], start)
    expected = F.cross_entropy(
        copy.deepcopy(classifier).train()(images), batch.labels, reduction="none"
    )
    loss, _ = objective(classifier.train(), batch, place())
    assert classifier.training
    torch.testing.assert_close(loss, (batch.weights * expected).mean())
    assert loss > F.cross_entropy(classifier(batch.pixels), batch.labels)
    moved = ((images - batch.pixels) * 255).round().to(torch.int8)
    for i, row in enumerate(batch.rows.tolist()):
        kept = objective.memory.levels[row]
        assert (kept == (moved[i] if chosen[i] else first[row])).all()


def test_the_next_attack_starts_at_the_last_perturbation(classifier, make, batch):
    objective = make("adversarial", mix=1.0, **SETTINGS)
    losses = [objective(classifier.train(), batch, place()).loss.item() for _ in range(3)]
    assert losses[0] < losses[2]


def test_without_attacked_images_it_is_the_plain_loss(loss_of, batch):
    plain = loss_of("erm", batch).loss
    assert loss_of("adversarial", batch, mix=0.0, **SETTINGS).loss == plain


def test_multilabel_images_have_a_larger_loss(loss_of, multilabel):
    plain = loss_of("erm", multilabel).loss
    assert loss_of("adversarial", multilabel, mix=1.0, **SETTINGS).loss > plain


def test_moved_images_have_no_memory(classifier, batch):
    labels = torch.zeros(10, dtype=torch.int64)
    settings = {**SETTINGS, "mix": 1.0}
    setup = Setup(settings, classifier, labels, None, (3, 16, 16), moves=True)
    objective = OBJECTIVES["adversarial"](setup)
    assert not objective.state_dict()
    losses = [
        objective(copy.deepcopy(classifier).train(), batch, place(seed)).loss.item()
        for seed in (0, 0, 1)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0] != pytest.approx(losses[2], rel=1e-6)


def test_gradients_and_modes_remain(classifier, make, batch):
    classifier.train()
    classifier.network.features[1].eval()
    for parameter in classifier.parameters():
        parameter.grad = torch.ones_like(parameter)
    make("adversarial", mix=1.0, **SETTINGS)(classifier, batch, place())
    assert not classifier.network.features[1].training
    assert all((p.grad == 1).all() and p.requires_grad for p in classifier.parameters())
