"""Small artifacts of every schema, made without any model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ectool.artifacts.manifest import DataSource, Parent, Recipe
from ectool.artifacts.partial import growing
from ectool.artifacts.schema import Arrays

ROWS, SHARD = 20, 8


def text(values: list[str]) -> np.ndarray:
    return np.array(values, dtype=np.dtypes.StringDType())


@pytest.fixture
def make_arrays() -> Callable[..., dict[str, np.ndarray]]:
    """Return valid heatmaps; the second shard's clean maps are zero everywhere."""

    def make(rows: int = ROWS, seed: int = 0) -> dict[str, np.ndarray]:
        draw = np.random.default_rng(seed)
        clean = draw.random((rows, 4, 5)).astype(np.float16)
        clean[SHARD : 2 * SHARD] = 0
        return {
            "sample_id": text([f"digits/{row} ü✓" for row in range(rows)]),
            "label": draw.integers(0, 3, rows),
            "target": draw.integers(0, 3, rows),
            "clean": clean,
            "adversarial": draw.random((rows, 4, 5)).astype(np.float16),
            "logits_clean": draw.normal(size=(rows, 3)).astype(np.float32),
            "logits_adversarial": draw.normal(size=(rows, 3)).astype(np.float32),
        }

    return make


@pytest.fixture
def recipe() -> Recipe:
    parent = Parent(role="model", kind="model", id="abc", path="../model")
    source = DataSource(
        data="digits", split="train", options={"size": 224, "rho": 0.5}, fingerprint="f00"
    )
    config = {"layer": None, "seed": 3}
    return Recipe(kind="heatmaps", stage="explain", config=config, parents=(parent,), source=source)


@pytest.fixture
def write(recipe: Recipe) -> Callable[..., Path]:
    """Write arrays as a finished artifact, as the stages do."""

    def finish(output: Path, arrays: Arrays, shard_size: int = SHARD) -> Path:
        rows = len(arrays["sample_id"])
        with growing(output, recipe, length=rows, shard_size=shard_size) as partial:
            for number in partial.missing():
                start, stop = partial.ranges[number]
                partial.write(
                    number,
                    {name: values[start:stop] for name, values in arrays.items()},
                    {"zero_maps": number},
                )
            return partial.publish({"share": 0.5})

    return finish
