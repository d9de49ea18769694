"""A toy problem: which third of a tiny image is bright."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from ectool.training.batch import TrainingBatch


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


@pytest.fixture
def make_model() -> Callable[[], nn.Module]:
    """Return a function that makes the same small network each time."""
    return _model


@pytest.fixture
def batches() -> list[TrainingBatch]:
    """Return five batches, the last of another size."""
    draw = torch.Generator().manual_seed(0)
    made = []
    for size in (8, 8, 8, 8, 3):
        labels = torch.randint(0, 3, (size,), generator=draw)
        pixels = 0.5 * torch.rand(size, 3, 6, 6, generator=draw)
        for row, label in enumerate(labels.tolist()):
            pixels[row, :, 2 * label : 2 * label + 2] += 0.5
        made.append(TrainingBatch(pixels, labels, torch.ones(size), torch.arange(size)))
    return made
