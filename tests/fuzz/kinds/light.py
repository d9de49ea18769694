"""Kinds for the default tests: one command each, and none that needs torch."""

from __future__ import annotations

from ..changes import mixed
from ..model import Kind, Step, Variant, step
from .data import SIDE

READING = (
    step("verify {x} --json", compared=True),
    step("convert {x} out/copy.zarr", compared=True),
)
HEATMAPS = (
    *READING,
    step("score --heatmaps {x} --output out/weights.zarr", compared=True),
    step("agree {x} base/light.zarr --json", compared=True),
)


def each(source: str, steps: tuple[Step, ...], also: tuple[str, ...] = ()) -> tuple[Variant, ...]:
    """Return a variant for each command."""
    return tuple(Variant(source, (one,), also) for one in steps)


MANIFESTS = mixed(documents=0.8, trees=0.05, only="manifest.json")
LIGHT = {
    "zarr": Kind(
        (*each("light.zarr", HEATMAPS), *each("light-weights.zarr", READING)),
        mixed(documents=0.3),
    ),
    "hdf5": Kind(each("light.h5", HEATMAPS), mixed(trees=0.1)),
    "manifests": Kind(each("light.zarr", HEATMAPS), MANIFESTS),
    "csv": Kind(
        each(
            "csv/labels.csv",
            (step(f"data info csv:{{x}} --size {SIDE} --json"),),
            ("images",),
        ),
        mixed(documents=0.6, trees=0.1, only="*.csv"),
    ),
    "toml": Kind(
        each(
            "toml/score.toml",
            (step("score --config {x} --heatmaps base/light.zarr --output out/weights.zarr"),),
        ),
        mixed(documents=0.8, trees=0.05),
    ),
}
"""Kinds on the valid inputs of `light_corpus.py`."""
