"""Data sets: tables, images, folders, published ones."""

from __future__ import annotations

from ..changes import mixed
from ..files import SIDE
from ..model import Kind, Step, Variant, step
from ..published import TORCHVISION


def reading(uri: str, *more: Step) -> tuple[Step, ...]:
    return (
        step(f"data info {uri} --size {SIDE} --json"),
        step(f"data check {uri} --size {SIDE} --json", codes=(0, 5)),
        step(f"data materialize {uri} --size {SIDE} --output out/data.zarr"),
        *more,
    )


PUBLISHED = {
    **{f"published/{name}": f"{name}:{{x}}" for name in ("cub200", "imagenet9", "voc2012")},
    "published/stl10": "stl10:{x}/stl10_binary",
    **{f"published/{name.lower()}": f"torchvision:{name}:{{x}}" for name in TORCHVISION},
}
KINDS = {
    "csv": Kind(
        (
            Variant("csv/labels.csv", reading("csv:{x}"), also=("images",)),
            Variant("csv/several.csv", reading("csv:{x}"), also=("images",)),
        ),
        mixed(documents=0.6, trees=0.1, only="*.csv"),
    ),
    "images": Kind(
        (Variant("formats", reading("imagefolder:{x}")),), mixed(documents=0, trees=0.1)
    ),
    "folders": Kind((Variant("images", reading("imagefolder:{x}")),), mixed(trees=0.8)),
    "published": Kind(
        tuple(Variant(name, reading(uri)) for name, uri in PUBLISHED.items()),
        mixed(),
        ("published",),
    ),
}
