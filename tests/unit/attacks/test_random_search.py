"""Random search: what it may move and draws, and that it needs no gradient."""

from __future__ import annotations

import pytest
import torch

from ectool.attacks.ball import BALLS
from ectool.attacks.losses import LOSSES
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.random_search import random_search, side_of
from ectool.seeding import stream

EPS = {"linf": 16 / 255, "l2": 1.0}


def searched(network, clean, labels, norm="linf", queries=40, rows=None):
    rows = torch.arange(len(clean)) if rows is None else rows
    ball = BALLS[norm].around(
        clean[rows], torch.ones(len(rows), *clean.shape[2:], dtype=torch.bool), EPS[norm]
    )
    objective = LabelLoss(network, LOSSES["margin"], labels[rows], stop_when_misclassified=True)
    streams = [stream(0, f"{row}", "random search") for row in rows.tolist()]
    return random_search(ball, objective, streams, queries)


@pytest.mark.parametrize("norm", BALLS)
def test_the_loss_rises_within_the_ball_and_without_a_gradient(norm, model, batch):
    clean = batch()[0].float() / 255
    labels = model(clean).argmax(1)
    found = searched(lambda x: model((x * 255).round() / 255), clean, labels, norm)
    change = (found - clean).flatten(1)
    length = change.norm(dim=1) if norm == "l2" else change.abs().amax(1)
    assert (length <= EPS[norm] + 1e-6).all()
    assert (length > 0).all()
    assert found.min() >= 0
    assert found.max() <= 1
    before, after = (LOSSES["margin"].compute(model(x), labels, None) for x in (clean, found))
    few = searched(model, clean, labels, norm, queries=0)
    start = LOSSES["margin"].compute(model(few), labels, None)
    assert (after > torch.maximum(before, start)).all()


@pytest.mark.parametrize("norm", BALLS)
def test_an_image_is_searched_alike_in_every_batch(norm, model, batch):
    clean = batch()[0].float() / 255
    labels = model(clean).argmax(1)
    whole = searched(model, clean, labels, norm)
    rows = torch.tensor([4, 1])
    torch.testing.assert_close(searched(model, clean, labels, norm, rows=rows), whole[rows])


def test_misclassified_images_keep_their_start(torn):
    evaluation_model, ball, labels = torn
    seen = []

    def counted(pixels):
        seen.append(len(pixels))
        return evaluation_model(pixels)

    start, end = (searched(counted, ball.clean, labels, queries=q) for q in (0, 9))
    wrong = evaluation_model(start).argmax(1) != labels
    assert 0 < wrong.sum() < 24
    assert torch.equal(end[wrong], start[wrong])
    assert seen[:3] == [24, 24, int((~wrong).sum())]


def test_squares_shrink_to_a_pixel():
    sides = [side_of(query, 1000, (32, 48)) for query in range(1000)]
    assert sides[0] == min(round((0.8 * 32 * 48) ** 0.5), 32) == 32
    assert sides == sorted(sides, reverse=True)
    assert sides[-1] == round((0.8 / 2**8 * 32 * 48) ** 0.5) == 2
    assert side_of(9, 10, (2, 2)) == 1
