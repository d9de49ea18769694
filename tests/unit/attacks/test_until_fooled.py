"""Attacks that go on until the answer is wrong, against loops that leave nothing out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ectool.attacks.ball import BALLS, Ball
from ectool.attacks.losses import LOSSES
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.perturbation import Perturbed, ask, finish, perturb
from ectool.attacks.pgd import Settings, pgd
from ectool.attacks.random_start import start_streams
from ectool.attacks.until_fooled import until_fooled

N, STEPS, RESTARTS = 24, 6, 3


def random_start(ball: Ball, rows: Tensor, restart: int) -> Tensor:
    return ball.random_point(start_streams([f"s{row}" for row in rows.tolist()], 0, restart))


def is_wrong(labels):
    return lambda logits, rows: logits.argmax(1) != labels[rows]


def results_of_all(model, ball, labels, every) -> list[Perturbed]:
    """The results of every leg of every restart, with nothing left out."""
    objective = LabelLoss(model, LOSSES["ce"], labels)
    found = []
    for restart in range(RESTARTS):
        current, left = random_start(ball, torch.arange(N), restart), STEPS
        while left:
            steps = min(every or STEPS, left)
            current = pgd(ball, objective, current, Settings(steps, ball.eps / 3))
            found.append(finish(ball, current, model, objective.allows))
            left -= steps
    return found


@pytest.mark.parametrize("every", [None, 1, 4])
@pytest.mark.parametrize("norm", BALLS)
def test_the_first_success_or_else_the_last_result(norm, every, torn):
    model, ball, labels = torn
    ball = BALLS[norm].around(ball.clean, ball.weight, ball.eps if norm == "linf" else 0.15)
    asked = []

    def watched(pixels):
        asked.append(len(pixels))
        return model(pixels)

    found = until_fooled(
        pgd,
        ball,
        LabelLoss(watched, LOSSES["ce"], labels),
        random_start,
        Settings(STEPS, ball.eps / 3),
        judge=model,
        fooled=is_wrong(labels),
        restarts=RESTARTS,
        every=every,
    )
    everything = results_of_all(model, ball, labels, every)
    fooled = torch.stack([one.logits.argmax(1) != labels for one in everything])
    assert 0 < fooled.any(0).sum() < N
    assert torch.equal(found.logits.argmax(1) != labels, fooled.any(0))
    assert sum(asked) < RESTARTS * STEPS * N
    for row in range(N):
        successes = fooled[:, row].nonzero()[:, 0].tolist()
        expected = everything[successes[0] if successes else -1]
        torch.testing.assert_close(found.logits[row], expected.logits[row], rtol=0, atol=1e-3)
    torch.testing.assert_close(ask(model, found.images), found.logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("steps", [0, STEPS])
def test_one_start_is_the_plain_attack_bit_for_bit(steps, torn):
    model, ball, labels = torn
    objective, settings = LabelLoss(model, LOSSES["ce"], labels), Settings(steps, ball.eps / 3)
    found = until_fooled(
        pgd, ball, objective, random_start, settings, judge=model, fooled=is_wrong(labels)
    )
    start = random_start(ball, torch.arange(N), 0)
    expected = perturb(pgd, ball, objective, [start], settings, judge=model)
    assert torch.equal(found.images, expected.images)
    assert torch.equal(found.logits, expected.logits)


def test_nothing_is_asked_once_all_are_fooled(torn):
    model, ball, labels = torn
    asked = []

    def watched(pixels):
        asked.append(len(pixels))
        return model(pixels)

    until_fooled(
        pgd,
        ball,
        LabelLoss(watched, LOSSES["ce"], labels),
        random_start,
        Settings(STEPS, 0.01),
        judge=model,
        fooled=lambda logits, _: torch.ones(len(logits), dtype=torch.bool),
        restarts=5,
        every=2,
    )
    assert asked == [N, N]
