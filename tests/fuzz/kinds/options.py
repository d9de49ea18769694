"""Files of options, gates, lists of models, and names of classes."""

from __future__ import annotations

from ..changes import mixed
from ..corpus import DATA, EVALUATE
from ..model import Kind, Step, Variant, step

DOCUMENTS = mixed(documents=0.75, trees=0.05)


def names(file: str) -> Variant:
    line = "adopt --model smallcnn --checkpoint base/model/model.safetensors --image-size 16"
    return Variant(
        f"lists/{file}", (step(f"{line} --classes-from {{x}} --output out/model", codes=(0, 3)),)
    )


def listed(file: str) -> Variant:
    more: tuple[Step, ...] = (step(f"{EVALUATE} --models {{x}} --output out/audit"),)
    return Variant(f"lists/{file}", more)


KINDS = {
    "toml": Kind(
        (
            Variant("toml/experiment.toml", (step("run {x} --dry-run --output out/run --json"),)),
            Variant(
                "toml/score.toml",
                (
                    step("score --config {x} --heatmaps base/cams.zarr --output out/w.zarr"),
                    step(f"perturb --config {{x}} {DATA} --model base/model --output out/a.zarr"),
                ),
            ),
        ),
        DOCUMENTS,
    ),
    "gates": Kind(
        (
            Variant(
                "toml/gates.toml",
                (step(f"evaluate --config {{x}} {DATA} --model base/model --output out/e"),),
            ),
        ),
        DOCUMENTS,
        ("evaluations",),
    ),
    "lists": Kind(
        (
            *map(names, ("names.txt", "names.json", "config.json")),
            *map(listed, ("models.toml", "models.csv")),
        ),
        DOCUMENTS,
    ),
}
