"""Maps of a layer, with labels."""

from __future__ import annotations

import pytest
import torch

from ectool.training.batch import Position

IMAGES, FILTERS, SIZE, CLASSES = 6, 5, (3, 4), 3


@pytest.fixture
def maps() -> torch.Tensor:
    """Return maps before ReLU of six images and five filters."""
    draw = torch.Generator().manual_seed(0)
    return 8 * torch.randn(IMAGES, FILTERS, *SIZE, generator=draw)


@pytest.fixture
def labels() -> torch.Tensor:
    """Return the class of each image."""
    return torch.tensor([0, 1, 2, 2, 1, 0])


@pytest.fixture
def place():
    """Return a function that makes the first position of an epoch."""
    return lambda epoch: Position(epoch, 0, 0.0, torch.Generator().manual_seed(epoch))
