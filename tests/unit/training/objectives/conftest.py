"""A small classifier, and batches for objectives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ectool.models.classifier import Classifier
from ectool.models.registry import create
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.objectives import OBJECTIVES, Objective, Setup

CLASSES = ("a", "b", "c")
SIDE = 16


@pytest.fixture
def classifier() -> Classifier:
    """Return a small network with a target layer."""
    return create("smallcnn", CLASSES, seed=0, input_size=(SIDE, SIDE))


@pytest.fixture
def batch() -> TrainingBatch:
    """Return six images with different weights."""
    draw = torch.Generator().manual_seed(0)
    return TrainingBatch(
        pixels=torch.rand(6, 3, SIDE, SIDE, generator=draw),
        labels=torch.tensor([0, 1, 2, 2, 1, 0]),
        weights=torch.tensor([1.0, 0.5, 2.0, 1.0, 0.0, 1.5]),
        rows=torch.tensor([4, 2, 0, 9, 7, 5]),
    )


@pytest.fixture
def multilabel(batch: TrainingBatch) -> TrainingBatch:
    """Return the batch with multi-label targets, some of them ignored."""
    draw = torch.Generator().manual_seed(1)
    labels = torch.randint(-1, 2, (6, 3), generator=draw, dtype=torch.int8)
    return TrainingBatch(batch.pixels, labels, batch.weights, batch.rows)


@pytest.fixture
def make(classifier: Classifier, batch: TrainingBatch) -> Callable[..., Objective]:
    """Return a function that makes an objective for a data set of ten samples."""

    def make(name: str, **settings: float) -> Objective:
        labels = torch.arange(10) % 3
        labels[batch.rows] = batch.labels
        groups = torch.arange(10) % 2
        setup = Setup(settings, classifier, labels, groups, (3, SIDE, SIDE))
        return OBJECTIVES[name](setup)

    return make


@pytest.fixture
def loss_of(
    classifier: Classifier, make: Callable[..., Objective]
) -> Callable[[str, TrainingBatch], BatchLoss]:
    """Return a function that computes the loss of a batch, with the model in training mode."""

    def loss_of(name: str, batch: TrainingBatch, **settings: float) -> BatchLoss:
        place = Position(0, 0, 0.0, torch.Generator().manual_seed(0))
        loss: BatchLoss = make(name, **settings)(classifier.train(), batch, place)
        return loss

    return loss_of
