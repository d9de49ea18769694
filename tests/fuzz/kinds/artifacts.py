"""Array artifacts in both formats, and their manifests."""

from __future__ import annotations

from ..changes import mixed
from ..corpus import CUT, DATA
from ..model import Kind, Step, Variant, step

READING = (
    step("inspect {x} --json"),
    step("inspect {x} --verify --json", compared=True),
    step("verify {x} --json", compared=True),
    step("convert {x} out/copy.zarr", compared=True),
)
STEPS: dict[str, tuple[Step, ...]] = {
    "adv": (
        step("explain --model base/model --samples {x} --output out/cams.zarr", compared=True),
        step(
            f"train {DATA} --model smallcnn --epochs 1 --samples {{x}} --output out/model",
            compared=True,
        ),
    ),
    "cams": (
        step("score --heatmaps {x} --output out/weights.zarr", compared=True),
        step("agree {x} base/cams.zarr --json", compared=True),
    ),
    "weights": (
        step(
            f"train {DATA} --model smallcnn --epochs 1 --weights {{x}} --output out/model",
            compared=True,
        ),
        step(
            "score --heatmaps base/cams.zarr --previous {x} --momentum 0.5 --output out/w.zarr",
            compared=True,
        ),
    ),
    "stored": (
        step("data info zarr:{x} --json", compared=True),
        step("data check zarr:{x} --json", compared=True),
    ),
}


def variants(suffix: str) -> tuple[Variant, ...]:
    return tuple(Variant(name + suffix, (*READING, *own)) for name, own in STEPS.items())


PARTIALS = tuple(
    Variant(name, (step(line.replace(f"base/{name}", f"out/{name}"), compared=True),), place="out")
    for name, line in CUT.items()
)
MERGED = Variant(
    "jobs", (step("merge out/jobs/x.zarr --json"), step("inspect out/jobs/x.zarr")), place="out"
)
KINDS = {
    "zarr": Kind(variants(".zarr"), mixed(documents=0.25), ("arrays",)),
    "hdf5": Kind(variants(".h5"), mixed(documents=0), ("arrays",)),
    "manifests": Kind(
        variants(".zarr"), mixed(documents=0.8, trees=0.05, only="manifest.json"), ("arrays",)
    ),
    "partials": Kind(PARTIALS, mixed(), ("cut",)),
    "jobs": Kind((MERGED,), mixed(), ("jobs",)),
}
