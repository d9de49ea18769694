"""Checkpoints and programs of others."""

from __future__ import annotations

from ectool.config import ExplainConfig

from ..changes import mixed
from ..corpus import DATA
from ..model import Kind, Variant, step

SPLIT = f"{DATA} --split validation"
TRUSTED = " --trust-code" if "trust_code" in ExplainConfig.model_fields else ""
REFUSED = ("hostile.pt", "hostile.bin")
GOOD = ("plain.pt", "nested.ckpt", "old.pth", "new.pt", "plain.safetensors", "shards")


def checkpoint(name: str, codes: tuple[int, ...] = (0,)) -> Variant:
    return Variant(
        f"weights/{name}",
        (
            step(
                "adopt --model smallcnn --checkpoint {x} --names dark,light --image-size 16 "
                "--output out/model",
                codes=codes,
            ),
            step(
                f"explain {SPLIT} --model smallcnn --checkpoint {{x}} --output out/cams.zarr",
                codes=codes,
            ),
        ),
    )


def program(name: str, model: str) -> Variant:
    line = f"explain {SPLIT} --model {model} --method rise --passes 2"
    return Variant(
        name,
        (
            step(f"{line}{TRUSTED} --output out/cams.zarr"),
            *((step(f"{line} --output out/other.zarr", codes=(2, 3)),) if TRUSTED else ()),
        ),
    )


ZERO_SHOT = (
    "adopt --model openclip:{x}/vit.json --checkpoint {x}/vit.pt --prompts {x}/prompts.toml "
    "--names 'cat,red fox,dog' --output out/model"
)
IMPORTED = f"train {DATA} --model import:in.net:network --epochs 1{TRUSTED} --output out/model"
KINDS = {
    "prompts": Kind(
        (Variant("clip", (step(ZERO_SHOT),)),),
        mixed(documents=0.7, trees=0.05, only="*.toml"),
        ("torch",),
    ),
    "checkpoints": Kind(
        (*map(checkpoint, GOOD), *(checkpoint(name, (3,)) for name in REFUSED)),
        mixed(trees=0.1),
        ("torch",),
    ),
    "programs": Kind(
        (
            program("programs/script.pt", "torchscript:{x}"),
            program("programs/program.pt2", "exported:{x}"),
            Variant("code/net.py", (step(IMPORTED),)),
        ),
        mixed(trees=0.1),
        ("torch",),
    ),
}
