"""The momentum method under a mask, by its definition."""

from __future__ import annotations

import pytest
import torch

from ectool.attacks.ball import BALLS
from ectool.attacks.losses import LOSSES
from ectool.attacks.mim import mim
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.pgd import Settings


@pytest.mark.parametrize(("norm", "eps"), [("linf", 8 / 255), ("l2", 0.5)])
def test_steps_under_a_mask_equal_the_definition(norm, eps, precise, batch):
    images, labels, background = batch()
    ball = BALLS[norm].around(images.double() / 255, background, eps)
    objective = LabelLoss(precise, LOSSES["ce"], labels)
    settings = Settings(steps=4, alpha=eps / 4, decay=0.8)
    found = mim(ball, objective, ball.clean, settings)
    for row in range(len(labels)):
        clean, inside = ball.clean[row], background[row].double()
        current, momentum = clean.clone(), torch.zeros_like(clean)
        for _ in range(settings.steps):
            leaf = current[None].clone().requires_grad_()
            loss = -precise(leaf).log_softmax(1)[0, labels[row]]
            gradient = torch.autograd.grad(loss, leaf)[0][0] * inside
            momentum = 0.8 * momentum + gradient / gradient.abs().sum()
            step = momentum.sign() if norm == "linf" else momentum / momentum.norm()
            delta = (current + settings.alpha * step - clean) * inside
            if norm == "linf":
                delta = delta.clamp(-eps, eps)
            else:
                delta = delta * min(1.0, eps / float(delta.norm()))
            current = (clean + delta).clamp(0, 1)
        torch.testing.assert_close(found[row], current, rtol=0, atol=1e-9)


def test_an_image_without_a_gradient_stays(precise, batch):
    images, labels, background = batch()
    ball = BALLS["linf"].around(images.double() / 255, background, 8 / 255)
    uncounted = torch.full((len(labels), 5), -1, dtype=torch.int8)
    objective = LabelLoss(precise, LOSSES["bce"], uncounted)
    assert torch.equal(mim(ball, objective, ball.clean, Settings(3, 0.01)), ball.clean)
