"""Restarts, and what every attack keeps to."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ectool.attacks import ATTACKS
from ectool.attacks.ball import BALLS, Ball
from ectool.attacks.losses import LOSSES
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.perturbation import perturb, run_model
from ectool.attacks.pgd import Settings, pgd
from ectool.attacks.random_start import start_streams

EPS, N = 2 / 255, 24
SETTINGS = Settings(6, EPS / 3)
IDS = [f"s{row}" for row in range(N)]


def random_start(ball: Ball, restart: int) -> Tensor:
    return ball.random_point(start_streams(IDS, 0, restart))


def test_the_worst_of_all_restarts_is_kept(torn):
    model, ball, labels = torn
    objective = LabelLoss(model, LOSSES["ce"], labels)
    starts = [random_start(ball, restart) for restart in range(4)]
    single = [perturb(pgd, ball, objective, [s], SETTINGS, evaluation_model=model) for s in starts]
    losses = torch.stack([objective(ask_pixels(one.images)).score for one in single])
    best = losses.argmax(0)
    assert len(best.unique()) > 1
    found = perturb(pgd, ball, objective, iter(starts), SETTINGS, evaluation_model=model)
    for name in ("images", "logits"):
        expected = torch.stack([getattr(one, name) for one in single])[best, torch.arange(N)]
        assert torch.equal(getattr(found, name), expected)


def ask_pixels(images: Tensor) -> Tensor:
    return images.float() / 255


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "explanation"])
def test_every_attack_keeps_the_object_and_the_ball(name, norm, model, batch):
    images, labels, background = batch()
    eps = {"linf": 3 / 255, "l2": 0.2}[norm]
    kind = ATTACKS[name]
    ball = BALLS[norm if kind.bounded else "linf"].around(
        images / 255, background, eps if kind.bounded else 1.0
    )
    objective = LabelLoss(model, LOSSES["margin"], labels)
    start = ball.random_point(start_streams(IDS[:6], 0), surface=kind.start == "surface")
    settings = Settings(steps=4, alpha=eps / 2)
    found = perturb(kind.run, ball, objective, [start], settings, evaluation_model=model)
    change = found.images.int() - images.int()
    assert not change[~background.unsqueeze(1).expand_as(change)].any()
    assert change.any()
    if kind.bounded:
        flat = change.flatten(1).double() / 255
        lengths = flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)
        assert (lengths <= eps).all()
    torch.testing.assert_close(found.logits, run_model(model, found.images), rtol=0, atol=0)
