"""The monitor of attacks, on networks with and without usable gradients."""

from __future__ import annotations

import pytest
import torch

from ectool.attacks import ATTACKS
from ectool.attacks.ball import BALLS
from ectool.attacks.losses import LOSSES, scale_of
from ectool.attacks.monitor import AttackMonitor
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.pgd import Settings


def attacked(network, batch, attack="pgd", steps=6, loss="scaled-ce", factor=None):
    images, labels, _ = batch()
    clean = images.float() / 255
    ball = BALLS["linf"].around(clean, torch.ones_like(clean[:, 0], dtype=torch.bool), 8 / 255)
    monitor = AttackMonitor.of(len(clean), clean.device)
    scale = scale_of(network(clean)) if LOSSES[loss].rescaled else None
    objective = LabelLoss(network, LOSSES[loss], labels, scale=scale, monitor=monitor)
    found = ATTACKS[attack].run(ball, objective, clean, Settings(steps, 2 / 255))
    return found, monitor


@pytest.mark.parametrize("attack", ["fgsm", "pgd", "mim", "apgd"])
def test_a_smooth_network_has_gradients_for_every_image(attack, model, batch):
    _, monitor = attacked(model, batch, attack)
    assert not monitor.without_gradient().any()
    assert monitor.with_constant_loss().all() == (attack == "fgsm")  # which evaluates the loss once


@pytest.mark.parametrize("attack", ["fgsm", "pgd", "mim", "apgd"])
def test_rounded_inputs_and_cut_graphs_have_no_gradient(attack, model, batch):
    for network in (
        lambda x: model((x * 7).round() / 7),
        lambda x: model(x.detach()),
        lambda x: model((x > 0.5).float()),
    ):
        found, monitor = attacked(network, batch, attack)
        assert monitor.without_gradient().all()
        assert torch.equal(found, batch()[0].float() / 255) or attack == "apgd"


def test_nan_gradients_are_not_usable(model, batch):
    _, monitor = attacked(lambda x: model(x) + (x.mean() * 0).sqrt(), batch)
    assert monitor.without_gradient().all()


def test_some_images_of_a_batch_have_no_gradient(model, batch):
    odd = torch.arange(6) % 2 == 1

    def network(x):
        return torch.where(odd[:, None], model(x.detach()), model(x))

    _, monitor = attacked(network, batch)
    assert torch.equal(monitor.without_gradient(), odd)
    kept = torch.tensor([1, 2])
    part = monitor.take(kept).take(torch.tensor([0]))
    part.note(torch.zeros(1), torch.ones(1, 3, 8, 8))
    assert monitor.without_gradient().tolist() == [False, False, False, True, False, True]


@pytest.mark.parametrize("attack", ["fgsm", "pgd", "mim", "apgd"])
@pytest.mark.parametrize("factor", [2.0**-10, 2.0**10, 2.0**20])
def test_a_factor_on_the_logits_changes_no_step(attack, factor, model, batch):
    """Powers of 2, which round nothing: the very same images, where cross-entropy finds others."""
    expected, _ = attacked(model, batch, attack)
    found, monitor = attacked(lambda x: model(x) * factor, batch, attack)
    assert torch.equal(found, expected)
    assert not monitor.without_gradient().any()
    if factor == 2.0**20:
        _, blind = attacked(lambda x: model(x) * factor, batch, attack, loss="ce")
        assert blind.without_gradient().any()
