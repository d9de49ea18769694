"""Attacks until misclassification, against loops without early stopping."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ectool.attacks.ball import BALLS, Ball
from ectool.attacks.losses import LOSSES, likeliest_errors
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.pgd import Settings, pgd
from ectool.attacks.random_start import start_streams
from ectool.attacks.until_misclassified import until_misclassified

N, STEPS, RESTARTS = 24, 6, 3


def random_start(ball: Ball, rows: Tensor, restart: int) -> Tensor:
    return ball.random_point(start_streams([f"s{row}" for row in rows.tolist()], 0, restart))


def logits_of_all(model, ball, objectives) -> list[Tensor]:
    """Ask about the result of every attempt, with nothing left out."""
    found = []
    for attempt in range(RESTARTS * len(objectives)):
        start = random_start(ball, torch.arange(N), attempt)
        objective = objectives[attempt % len(objectives)]
        found.append(model(pgd(ball, objective, start, Settings(STEPS, ball.eps / 3))))
    return found


@pytest.mark.parametrize("targets", [0, 2])
@pytest.mark.parametrize("norm", BALLS)
def test_the_first_success_or_else_the_last_result(norm, targets, torn):
    model, ball, labels = torn
    ball = BALLS[norm].around(ball.clean, ball.weight, ball.eps if norm == "linf" else 0.15)
    asked = []

    def watched(pixels):
        asked.append(len(pixels))
        return model(pixels)

    def objectives(network):
        ranked = likeliest_errors(model(ball.clean), labels, 2).unbind(1)[:targets]
        return [LabelLoss(network, LOSSES["ce"], labels, target) for target in ranked or [None]]

    found = until_misclassified(
        pgd,
        ball,
        objectives(watched),
        random_start,
        Settings(STEPS, ball.eps / 3),
        evaluation_model=model,
        restarts=RESTARTS,
    )
    everything = logits_of_all(model, ball, objectives(model))
    misclassified = torch.stack([logits.argmax(1) != labels for logits in everything])
    assert 0 < misclassified.any(0).sum() < N
    assert torch.equal(found.argmax(1) != labels, misclassified.any(0))
    assert sum(asked) < RESTARTS * max(targets, 1) * STEPS * N
    for row in range(N):
        successes = misclassified[:, row].nonzero()[:, 0].tolist()
        expected = everything[successes[0] if successes else -1]
        torch.testing.assert_close(found[row], expected[row], rtol=0, atol=1e-3)


@pytest.mark.parametrize("steps", [0, STEPS])
def test_one_start_is_the_plain_attack_bit_for_bit(steps, torn):
    model, ball, labels = torn
    objective, settings = LabelLoss(model, LOSSES["ce"], labels), Settings(steps, ball.eps / 3)
    found = until_misclassified(
        pgd, ball, [objective], random_start, settings, evaluation_model=model
    )
    start = random_start(ball, torch.arange(N), 0)
    assert torch.equal(found, model(pgd(ball, objective, start, settings)))


def test_no_pass_runs_after_all_images_are_misclassified(torn):
    model, ball, _ = torn
    wrong, asked = model(ball.clean).argmin(1), []

    def watched(pixels):
        asked.append(len(pixels))
        return model(pixels)

    until_misclassified(
        pgd,
        ball,
        [LabelLoss(watched, LOSSES["ce"], wrong)] * 2,
        random_start,
        Settings(STEPS, 0.01),
        evaluation_model=model,
        restarts=5,
    )
    assert asked == [N] * STEPS


def test_an_image_is_misclassified_if_any_counted_label_is(model):
    logits = torch.tensor([[1.0, -1.0, 5.0], [1.0, -1.0, 5.0], [-1.0, -1.0, 5.0], [1.0, 2.0, 5.0]])
    several = torch.tensor([[1, 0, -1]] * 4, dtype=torch.int8)
    single = torch.tensor([2, 0, 2, 1])
    for labels, expected in (
        (several, [False, False, True, True]),
        (single, [False, True, False, True]),
    ):
        assert LabelLoss(model, LOSSES["bce"], labels).is_misclassified(logits).tolist() == expected
