"""Every objective learns a toy problem and leaves the model's mode."""

from __future__ import annotations

import math

import pytest
import torch

from ectool.config import TrainConfig
from ectool.config.objectives import ONE_LABEL
from ectool.models.objective import sample_losses
from ectool.models.registry import create
from ectool.training.batch import Position, TrainingBatch
from ectool.training.loop import make_optimizer, train_epoch
from ectool.training.objectives import OBJECTIVES, Setup

SIDE, SIZE, EPOCHS = 16, 8, 8


def toy():
    """Return 24 images; the class is the third that is bright, and every fourth is bright below."""
    draw, rows = torch.Generator().manual_seed(0), torch.arange(24)
    labels, groups = rows % 3, (rows % 4 == 0).long()
    pixels = 0.5 * torch.rand(24, 3, SIDE, SIDE, generator=draw)
    for row in range(24):
        pixels[row, :, :12, 5 * labels[row] : 5 * labels[row] + 5] += 0.5
        pixels[row, :, 12:] += 0.5 * groups[row]
    return pixels, labels, groups


def train(name, labels):
    """Train on the toy problem; return the plain loss before and after, and the last epoch."""
    pixels, _, groups = toy()
    model = create("smallcnn", ("a", "b", "c"), seed=0, input_size=(SIDE, SIDE))
    config = TrainConfig(output="model", objective=name)
    settings = {**config.settings(), "mix": config.mix}
    torch.manual_seed(0)  # as `train` does before it makes an objective
    objective = OBJECTIVES[name](Setup(settings, model, labels, groups, (3, SIDE, SIDE)))
    both = torch.nn.ModuleList([model, objective])
    optimizer = make_optimizer(both, "adamw", lr=0.01, weight_decay=0)

    def batches(order):
        for rows in order.split(SIZE):
            yield TrainingBatch(pixels[rows], labels[rows], torch.ones(len(rows)), rows)

    def loss():
        with torch.no_grad():
            return sample_losses(model.eval()(pixels), labels).mean().item()

    losses = [loss()]
    for epoch in range(EPOCHS):

        def place(step, epoch=epoch):
            draw = torch.Generator().manual_seed(10 * epoch + step)
            return Position(epoch, step, (epoch + step / 3) / EPOCHS, draw)

        objective.begin(model, optimizer, lambda: batches(torch.arange(24)), place(0))
        order = torch.randperm(24, generator=place(9).generator)
        result = train_epoch(model, optimizer, batches(order), lambda _: 0.01, objective, place)
    assert model.training
    return [*losses, loss()], result


SLOW = {
    *("ec-weights", "ec-samples", "ec-permuted", "ec-random", "ec-rate", "ec-other"),
    *("ec-cam", "adversarial-background", "trades"),
}
"""Rows that are another row with other options, and those that take longest."""
MULTILABEL = {"erm", "cutmix", "cgc", "ec"}
"""Objectives whose computation for multi-label data differs most."""


def rows(names, fast):
    """Return the objectives as parameters; those that are not in `fast` are marked slow."""
    return [pytest.param(n, marks=[] if n in fast else [pytest.mark.slow]) for n in names]


@pytest.mark.parametrize("name", rows(OBJECTIVES, set(OBJECTIVES) - SLOW))
def test_learns(name):
    (before, after), result = train(name, toy()[1])
    assert after < before / 2
    assert math.isfinite(result.loss)


@pytest.mark.parametrize("name", rows(sorted(set(OBJECTIVES) - ONE_LABEL), MULTILABEL))
def test_learns_multilabel_data(name):
    labels = torch.nn.functional.one_hot(toy()[1]).to(torch.int8)
    labels[::7, 0] = -1
    labels[5] = -1
    (before, after), result = train(name, labels)
    assert after < before / 2
    assert math.isfinite(result.loss)
