from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ectool.reports.content import Sample

MakeSample = Callable[..., Sample]


@pytest.fixture
def make_sample() -> MakeSample:
    """Return a function that makes a sample; what is given replaces the defaults."""

    def make(side: int = 16, seed: int = 0, **given: object) -> Sample:
        generator = np.random.default_rng(seed)
        image = generator.integers(0, 250, (3, side, side), dtype=np.uint8)
        fields = {
            "sample_id": f"train/{seed}",
            "choice": "least consistent",
            "label": "cat",
            "predicted": ("cat", "dog"),
            "consistency": 0.25,
            "weight": 1.5,
            "image": image,
            "perturbed": image + np.uint8(2),
            "clean": generator.random((4, 4), dtype=np.float32),
            "adversarial": generator.random((4, 4), dtype=np.float32),
        }
        return Sample(**(fields | given))

    return make
