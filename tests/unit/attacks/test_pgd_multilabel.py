"""The attack on samples with several labels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ectool.attacks.pgd import input_gradient, pgd
from ectool.models.objective import sample_losses

EPS, ALPHA, CLASSES = 8 / 255, 2 / 255, 4


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = (nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(216, CLASSES))
        return nn.Sequential(*layers).eval()


def batch(n: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, labels of which the last picture has none that counts, and backgrounds."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 3, 8, 8), generator=draw, dtype=torch.uint8)
    labels = torch.randint(-1, 2, (n, CLASSES), generator=draw, dtype=torch.int8)
    labels[:, 0], labels[-1] = 1, -1
    return images, labels, torch.rand(n, 8, 8, generator=draw) < 0.5


def attack(model: nn.Module, targeted: bool = False, part: slice = slice(None)) -> Tensor:
    images, labels, background = (values[part] for values in batch())
    found = pgd(
        model,
        images,
        labels,
        background=background,
        eps=EPS,
        alpha=ALPHA,
        steps=5,
        start=images,
        targeted=targeted,
    )
    moved = (found.images != images).any(1)
    assert not moved[~background].any()
    return found.images


def test_the_gradient_is_that_of_each_samples_own_loss(model):
    images, labels, _ = batch()
    pixels = images / 255
    found = input_gradient(model, pixels, labels)
    for row, picture in enumerate(pixels):
        leaf = picture[None].requires_grad_()
        losses = []
        for logit, label in zip(model(leaf)[0], labels[row].tolist(), strict=True):
            if label >= 0:
                losses.append(-nn.functional.logsigmoid(logit if label else -logit))
        if losses:
            (expected,) = torch.autograd.grad(sum(losses) / len(losses), leaf)
            torch.testing.assert_close(found[row], expected[0])
    assert not found[-1].any()


def test_one_labels_gradient_is_that_of_summed_cross_entropy_bit_for_bit(model):
    pixels = batch()[0] / 255
    labels = torch.arange(8) % CLASSES
    leaf = pixels.clone().requires_grad_()
    loss = nn.functional.cross_entropy(model(leaf), labels, reduction="sum")
    (expected,) = torch.autograd.grad(loss, leaf)
    assert torch.equal(input_gradient(model, pixels, labels), expected)


def test_the_loss_rises_and_falls_when_targeted(model):
    images, labels, _ = batch()
    with torch.no_grad():
        clean, up, down = (
            sample_losses(model(pictures / 255), labels)[:-1]
            for pictures in (images, attack(model), attack(model, targeted=True))
        )
    assert (up > clean).all()
    assert (down < clean).all()


def test_a_picture_without_a_counting_label_stays(model):
    assert torch.equal(attack(model)[-1], batch()[0][-1])


def test_the_batch_does_not_matter(model):
    whole = attack(model)
    parts = torch.cat([attack(model, part=slice(row, row + 1)) for row in range(8)])
    assert (whole != parts).float().mean() < 0.005
