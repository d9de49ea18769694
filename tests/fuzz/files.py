"""Valid inputs that are plain files: images, tables, TOML, names."""

from __future__ import annotations

import io
import json
import random
import shutil
from pathlib import Path

from PIL import Image

from tests.small_studies import study_of

SIDE = 16
CLASSES = ("light", "dark")
FORMATS = ("png", "jpg", "gif", "bmp", "tiff", "webp", "ppm", "tga", "pcx", "ico", "jp2", "avif")
EXPERIMENT = """
[defaults]
data = "imagefolder:base/images"
size = 16

[experiment]
title = "Tiny"
seeds = [0]
warmup = 0.5
every = 1

[experiment.arms.plain]
reweight = "uniform"

[experiment.arms.consistency]
reweight = "consistency"
train = { flip = true }

[train]
model = "smallcnn"
epochs = 2

[perturb]
steps = 1

[evaluate]
split = "validation"
suite = ["classification"]
"""
STUDY = study_of(1)
SCORE = """
[score]
similarity = "cosine"
gamma = 2
cap = 5.0
"""
GATES = """
[evaluate]
require = ["accuracy>=0", "nll<=100", "accuracy>=baseline-100"]
baseline = "base/eval"
split = "validation"
suite = ["classification"]
"""
MODELS = """
[[models]]
name = "whole"
model = "../base/model"

[[models]]
name = "half"
model = "../base/half"
"""


def write(base: Path) -> None:
    rng = random.Random(0)
    images(base, rng)
    tables(base)
    texts = {
        "toml/experiment.toml": EXPERIMENT,
        "toml/score.toml": SCORE,
        "toml/gates.toml": GATES,
        "toml/study.toml": STUDY,
        "lists/models.toml": MODELS,
        "lists/models.csv": "name,model\nwhole,../base/model\nhalf,../base/half\n",
        "lists/names.txt": "dark\nlight\n",
        "lists/names.json": json.dumps({"0": "dark", "1": "light"}),
        "lists/config.json": json.dumps({"id2label": {"0": "dark", "1": "light"}}),
    }
    for name, text in texts.items():
        path = base / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def images(base: Path, rng: random.Random) -> None:
    """Write two classes of tiny images: PNG, and one of each format."""
    for number in range(18):
        split, name = "train" if number < 12 else "validation", CLASSES[number % 2]
        path = base / "images" / split / name / f"{number:02d}.png"
        save(path, rng, bright=number % 2 == 0)
    for number, suffix in enumerate(FORMATS):
        path = base / "formats/train" / CLASSES[number % 2] / f"image.{suffix}"
        save(path, rng, bright=number % 2 == 0)


def save(path: Path, rng: random.Random, *, bright: bool) -> None:
    """Write an image of noise in the format of its extension."""
    low = 128 * bright
    pixels = bytes(rng.randrange(low, low + 128) for _ in range(3 * SIDE * SIDE))
    out = io.BytesIO()
    suffix = path.suffix[1:]
    name = {"jpg": "jpeg", "jp2": "jpeg2000"}.get(suffix, suffix)
    Image.frombytes("RGB", (SIDE, SIDE), pixels).save(out, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out.getvalue())


def tables(base: Path) -> None:
    """Write lists of images with labels, boxes and groups."""
    names = [f"images/train/{CLASSES[n % 2]}/{n:02d}.png" for n in range(6)]
    rows = [
        f"{name},{CLASSES[n % 2]},{'train' if n < 4 else 'val'},1,2,9,{9 + n},g{n % 2}"
        for n, name in enumerate(names)
    ]
    folder = base / "csv"
    folder.mkdir()
    head = "path,label,split,x0,y0,x1,y1,group"
    (folder / "labels.csv").write_text("\n".join([head, *rows]) + "\n")
    several = [f"{name},{'a;b' if n % 2 else 'b'}" for n, name in enumerate(names)]
    (folder / "several.csv").write_text("\n".join(["path,labels", *several]) + "\n")


def replace(source: Path, target: Path) -> None:
    """Move a folder to the place of another one."""
    shutil.rmtree(target, ignore_errors=True)
    source.rename(target)
