"""A small smooth classifier, and images with black and white pixels in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ectool.attacks.ball import LinfBall

CLASSES = 5


def make_model(dtype: torch.dtype = torch.float32) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.Tanh(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(24, CLASSES),
        )
    return model.to(dtype).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def model() -> nn.Module:
    return make_model()


@pytest.fixture(scope="session")
def precise() -> nn.Module:
    """The same model in double precision, where parity is not blurred by rounding."""
    return make_model(torch.float64)


def make_batch(n: int = 6, size: int = 8, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(-40, 296, (n, 3, size, size), generator=draw).clamp(0, 255)
    labels = torch.randint(0, CLASSES, (n,), generator=draw)
    background = torch.rand(n, size, size, generator=draw) < 0.5
    return images.to(torch.uint8), labels, background


@pytest.fixture(scope="session")
def batch() -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """Make images, labels, and background masks."""
    return make_batch


@pytest.fixture
def torn(model) -> tuple[Callable[[Tensor], Tensor], LinfBall, Tensor]:
    """A model that misclassifies some attacked images, a small ball, and the predictions."""
    clean = make_batch(n=24)[0] / 255
    usual = model(clean).mean(0)

    def evaluation_model(pixels: Tensor) -> Tensor:
        return model(pixels) - usual

    everywhere = torch.ones_like(clean[:, 0], dtype=torch.bool)
    return (
        evaluation_model,
        LinfBall.around(clean, everywhere, 2 / 255),
        evaluation_model(clean).argmax(1),
    )
