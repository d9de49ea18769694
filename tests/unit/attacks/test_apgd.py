"""Auto-PGD: its schedule, its step sizes, and that it returns the best image it saw."""

from __future__ import annotations

import pytest
import torch

from ectool.attacks.apgd import apgd, checkpoints
from ectool.attacks.ball import BALLS
from ectool.attacks.losses import LOSSES, likeliest_errors
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.pgd import Settings, pgd

STEPS = 12


@pytest.mark.parametrize("steps", [1, 5, 20, 50, 100, 130])
def test_checkpoints_equal_the_recursion_of_the_authors_code(steps):
    leg, shorter, least = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
    expected, since = set(), 0
    for step in range(1, steps + 1):
        since += 1
        if since == leg:
            expected.add(step)
            since, leg = 0, max(leg - shorter, least)
    assert checkpoints(steps) == expected


def test_checkpoints_of_a_hundred_steps_are_those_of_the_paper():
    assert sorted(checkpoints(100))[:6] == [22, 41, 57, 70, 80, 87]


@pytest.mark.parametrize("norm", BALLS)
def test_the_best_image_of_all_steps_is_returned(norm, model, batch):
    images, labels, background = batch()
    clean = images.float() / 255
    ball = BALLS[norm].around(clean, background, 0.3)
    seen = []

    def watched(pixels):
        seen.append(pixels.detach().clone())
        return model(pixels)

    objective = LabelLoss(watched, LOSSES["ce"], labels)
    found = apgd(ball, objective, clean, Settings(steps=12))
    assert len(seen) == 13
    losses = torch.stack([LOSSES["ce"].compute(model(one), labels, None) for one in seen])
    best = torch.stack(seen)[losses.argmax(0), torch.arange(len(labels))]
    assert torch.equal(found, best)
    assert not (found - clean)[~background.unsqueeze(1).expand_as(found)].any()


@pytest.mark.parametrize("norm", BALLS)
def test_a_misclassified_image_precedes_the_maximum_score(norm, torn):
    model, ball, labels = torn
    ball = BALLS[norm].around(ball.clean, ball.weight, ball.eps if norm == "linf" else 0.15)
    seen = []

    def watched(pixels):
        seen.append(pixels.detach().clone())
        return model(pixels)

    ranked = likeliest_errors(model(ball.clean), labels, 3)[:, 2]
    plain, stopping = (
        LabelLoss(watched, LOSSES["margin"], labels, ranked, stop_when_misclassified=stops)
        for stops in (False, True)
    )
    best = apgd(ball, plain, ball.clean, Settings(STEPS))
    on_the_way = torch.stack(seen)
    seen.clear()
    found = apgd(ball, stopping, ball.clean, Settings(STEPS))
    wrong = torch.stack([plain.is_misclassified(model(pixels)) for pixels in on_the_way])
    assert 0 < wrong.any(0).sum() < len(labels)
    passes = 0
    for row, steps in enumerate(wrong.unbind(1)):
        end = left_after(steps)
        passes += end + 1
        last = steps[: end + 1].nonzero()[:, 0].tolist()
        expected = on_the_way[last[-1], row] if last else best[row]
        torch.testing.assert_close(found[row], expected, rtol=0, atol=1e-6)
    assert sum(map(len, seen)) == passes < (STEPS + 1) * len(labels)


def left_after(is_success):
    """Return after which step an image leaves: the first checkpoint from a success on."""
    reached = [end for end in sorted(checkpoints(STEPS)) if is_success[: end + 1].any()]
    return reached[0] if reached else STEPS


def test_no_step_returns_the_start(model, batch):
    images, labels, background = batch()
    ball = BALLS["linf"].around(images.float() / 255, background, 0.1)
    objective = LabelLoss(model, LOSSES["ce"], labels)
    assert torch.equal(apgd(ball, objective, ball.clean, Settings()), ball.clean)


def test_it_finds_more_than_steps_that_are_far_too_long(model, batch):
    images, labels, background = batch(n=12)
    ball = BALLS["l2"].around(images.float() / 255, background, 0.5)
    objective = LabelLoss(model, LOSSES["ce"], labels)
    own, fixed = (
        objective(run(ball, objective, ball.clean, Settings(20, 1.0))).score for run in (apgd, pgd)
    )
    assert (own >= fixed - 1e-5).all()
    assert own.sum() > fixed.sum()


def test_the_batch_does_not_matter(precise, batch):
    images, labels, background = batch()
    ball = BALLS["linf"].around(images.double() / 255, background, 8 / 255)
    objective = LabelLoss(precise, LOSSES["dlr"], labels)
    whole = apgd(ball, objective, ball.clean, Settings(steps=10))
    for row in range(len(labels)):
        rows = torch.tensor([row])
        one = apgd(ball.take(rows), objective.take(rows), ball.clean[rows], Settings(steps=10))
        torch.testing.assert_close(one[0], whole[row], rtol=0, atol=1e-9)
