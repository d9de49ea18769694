"""Pointers of artifacts in stores."""

from __future__ import annotations

from ..changes import mixed
from ..model import Kind, Variant, step

POINTER = (
    step("inspect {url} --json"),
    step("verify {url} --json", compared=True),
    step("score --heatmaps {url} --output out/weights.zarr", compared=True),
)
KINDS = {
    "remote": Kind(
        (Variant("pointer.zarr", POINTER),),
        mixed(documents=0.6, trees=0.05, only="index.json"),
        ("remote",),
    )
}
