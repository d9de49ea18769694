"""Every objective on several ranks against one process, in double precision.

In single precision, attacks step by the sign of gradients that are zero up to rounding.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from ectool.config import TrainConfig
from ectool.config.interpretable import INTERPRETABLE_OPTIONS
from ectool.config.objectives import ONE_LABEL
from ectool.models.registry import create
from ectool.training.batch import Position, TrainingBatch
from ectool.training.interpretable import INTERPRETABLE, beside
from ectool.training.loop import make_optimizer, train_epoch
from ectool.training.objectives import OBJECTIVES, Setup
from ectool.training.ranks.ranks import ALONE
from tests.gloo import on_ranks

SIDE, SAMPLES, EPOCHS = 16, 11, 2
FAST = {"adversarial", "ohem", "cgc", "lff", "ec", "ec-cam"}
"""Objectives that differ most in what they need of the other ranks."""
SETTINGS = {"interpretable_strength": 0.5, "interpretable_groups": 4, "interpretable_every": 1}


def data(is_multilabel):
    """Return images with classes or multi-label targets, and groups."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(SAMPLES) % 3
    if is_multilabel:
        labels = torch.randint(-1, 2, (SAMPLES, 3), generator=draw, dtype=torch.int8)
    pixels = torch.rand(SAMPLES, 3, SIDE, SIDE, generator=draw, dtype=torch.float64)
    return pixels, labels, (torch.arange(SAMPLES) % 4 == 0).long()


class Training:
    """The state of a training before its first step, the same on every rank."""

    def __init__(self, name, *, filters=None, moves=False, is_multilabel=False, batch=6, **more):
        self.pixels, self.labels, groups = data(is_multilabel)
        self.batch = batch
        self.model = create("smallcnn", ("a", "b", "c"), seed=0, input_size=(SIDE, SIDE)).double()
        config = TrainConfig(output="model", objective=name)
        settings = {**config.settings(), "mix": config.mix, **more}
        wrapped = (lambda one: one) if filters is None else with_filters(filters, self.model)
        setup = Setup(settings, self.model, self.labels, groups, (3, SIDE, SIDE), moves=moves)
        torch.manual_seed(0)  # as `train` does before it makes an objective
        self.objective = wrapped(OBJECTIVES[name](setup))
        if name == "lff":  # its state is in the precision of the model
            self.objective.double()
        self.weights = torch.linspace(0.5, 1.5, SAMPLES, dtype=torch.float64)

    def run(self, ranks):
        """Train, and return the state, the results of the epochs and their statistics."""
        own = copy.deepcopy(self)
        model, objective = own.model, own.objective
        both = torch.nn.ModuleList([model, objective])
        optimizer = make_optimizer(both, "sgd", lr=0.02, weight_decay=1e-3)
        results = []
        for epoch in range(EPOCHS):

            def place(step, epoch=epoch):
                draw = torch.Generator().manual_seed(10 * epoch + step)
                return Position(epoch, step, (epoch + step / 2) / EPOCHS, draw)

            in_order = np.arange(SAMPLES)
            objective.begin(
                model, optimizer, lambda order=in_order: own.batches(ranks, order), place(0)
            )
            order = torch.randperm(SAMPLES, generator=place(9).generator).numpy()
            batches = own.batches(ranks, order)
            result = train_epoch(
                model, optimizer, batches, lambda _: 0.02, objective, place, ranks=ranks
            )
            numbers = objective.statistics()
            results.append([result.loss, result.accuracy, result.max_logit, *numbers.values()])
        return {**model.state_dict(), **objective.state_dict()}, results

    def batches(self, ranks, order):
        """Yield the parts of the batches of an epoch."""
        steps = math.ceil(len(order) / self.batch)
        for rows in np.array_split(order, steps):
            own, part = ranks.part_of(rows)
            chosen = torch.from_numpy(own)
            yield TrainingBatch(
                self.pixels[chosen],
                self.labels[chosen],
                self.weights[chosen],
                chosen,
                len(own) * steps / len(order),
                part,
            )


def with_filters(name, model):
    settings = {n: v for n, v in SETTINGS.items() if n in INTERPRETABLE_OPTIONS[name]}
    return beside(name, model, layer=None, settings=settings)


def check(training, size=2, tolerance=1e-6):
    """Compare every rank with one process."""
    state, results = training.run(ALONE)
    for found, numbers in on_ranks(size, training.run):
        torch.testing.assert_close(found, state, rtol=tolerance, atol=tolerance / 100)
        for own, whole in zip(numbers, results, strict=True):
            np.testing.assert_allclose(own, whole, rtol=tolerance, atol=tolerance / 100)


def rows(names, fast):
    return [pytest.param(n, marks=[] if n in fast else [pytest.mark.slow]) for n in names]


@pytest.mark.parametrize("name", rows(OBJECTIVES, FAST))
def test_the_state_is_that_of_one_process(name):
    check(Training(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_without_a_memory_of_perturbations(name):
    check(Training(name, moves=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - ONE_LABEL))
def test_multilabel_data(name):
    check(Training(name, is_multilabel=True))


@pytest.mark.parametrize("filters", rows(INTERPRETABLE, {"icnn"}))
def test_interpretable_filters(filters):
    check(Training("erm", filters=filters), tolerance=1e-4)  # they compute in single precision


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_fewer_images_than_ranks(name):
    check(Training(name, batch=2), size=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adversarial", "cgc", "ec-cam", "group-dro"])
def test_more_ranks(name):
    check(Training(name), size=4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"swap": 0.5},
        {"weighting": "consistency", "scored_epochs": 1, "weight_momentum": 0.5},
        {"mask_source": "heatmap", "attack_steps": 3},
    ],
)
def test_options_of_explanation_consistency(options):
    check(Training("ec", **options))
