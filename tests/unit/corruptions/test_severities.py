from __future__ import annotations

import numpy as np
import pytest

from ectool.corruptions import CORRUPTIONS
from ectool.corruptions.severities import Severities
from ectool.errors import InputError

PUBLISHED = Severities(cifar_c=(1, 2, 3, 4, 5), tiny_imagenet_c=(6,) * 5, imagenet_c=(7,) * 5)


def of_size(height, width):
    return np.zeros((1, 3, height, width), np.uint8)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_a_severity_is_its_position_in_the_published_list(severity):
    assert PUBLISHED.of(of_size(32, 32), severity) == severity


@pytest.mark.parametrize(
    ("side", "expected"),
    [(1, 1), (32, 1), (45, 1), (46, 6), (64, 6), (119, 6), (120, 7), (224, 7), (600, 7)],
)
def test_the_nearest_published_size_counts(side, expected):
    assert PUBLISHED.of(of_size(side, side), 1) == expected


def test_the_size_is_the_shorter_side():
    assert PUBLISHED.of(of_size(32, 300), 1) == PUBLISHED.of(of_size(300, 32), 1) == 1


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("severity", [0, 6])
def test_another_severity_is_an_error(kind, severity):
    with pytest.raises(InputError, match=f"severity: expected 1 to 5, got {severity}"):
        CORRUPTIONS[kind](of_size(8, 8), severity, [np.random.default_rng(0)])
