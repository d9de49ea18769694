"""The commands that are killed: every stage that writes, in both formats, on forty tiny images.

Each command runs in a folder of its own beside `inputs/`, with relative paths, so that every run
of it must write the same bytes. Some begin with a folder that other commands have prepared.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.processes import Zygote
from tests.small_studies import study_of

DATA = ("--data", "imagefolder:../inputs/images", "--size", 16, "--split", "train")
WORK = ("--device", "cpu", "--batch-size", 4, "--shard-size", 4)
MODEL = ("--model", "../inputs/model")
PERTURB = ("perturb", *MODEL, *DATA, *WORK, "--steps", 1)
TRAIN = ("train", *DATA, "--device", "cpu", "--batch-size", 8, "--epochs", 4)
CLASSIFICATION = ("--suite", "classification", "--bootstrap", 100)
EVALUATE = (
    *("evaluate", *DATA, *WORK, "--suite", "classification,robustness,stability"),
    *("--attacks", "pgd", "--eps", "2/255", "--eps-l2", "", "--steps", 1),
    *("--corruptions", "fog", "--bootstrap", 100, "--explainers", ""),
)
EXPERIMENT = """
[defaults]
data = "imagefolder:../inputs/images"
size = 16
threads = 1
device = "cpu"
[experiment]
seeds = [0]
warmup = 0.5
[experiment.arms.plain]
[experiment.arms.consistency]
reweight = "consistency"
[train]
epochs = 2
[perturb]
steps = 1
[evaluate]
split = "train"
suite = ["classification"]
"""
STUDY = study_of(1, 2)
CHECKPOINT = """
import torch
from torchvision.models import squeezenet1_1
torch.manual_seed(0)
torch.save(squeezenet1_1(num_classes=2).state_dict(), "network.pth")
"""
Command = Sequence[object]


class Case(NamedTuple):
    """A command that is killed, and those that prepare its folder.

    Args:
        command: Its arguments, relative to its folder.
        outputs: What it writes there; they pass `verify` when it has ended.
        before: Commands that run once; each killed run begins with a copy of their folder.
        starts_processes: It has worker processes, which are killed too. They import torch.
        growing: Files that are written again after each model; they list those that are finished.
    """

    command: Command
    outputs: tuple[str, ...]
    before: tuple[Command, ...] = ()
    starts_processes: bool = False
    growing: tuple[str, ...] = ()


def _in_both_formats(name: str, command: Command, stem: str) -> dict[str, Case]:
    files = (f"{stem}.zarr", f"{stem}.h5")
    return {f"{name} {file}": Case((*command, "--output", file), (file,)) for file in files}


def _merging(file: str) -> Case:
    parts = [(*PERTURB, "--output", file, "--shard", part) for part in ("2/2", "1/2")]
    return Case(("merge", file), (file,), before=tuple(parts))


SHARDS = ("--shard-size", 4)
DIFFERENCES = (*PERTURB, "--store", "differences")
EXPLAIN = ("explain", *MODEL, "--samples", "../inputs/adv.zarr", *WORK)
SCORE = ("score", "--heatmaps", "../inputs/cams.zarr", *SHARDS)
MATERIALIZE = ("data", "materialize", DATA[1], *DATA[2:], *SHARDS)
WHOLE = ("run", "../inputs/experiment.toml", "--output", "run")
CASES: dict[str, Case] = {
    **_in_both_formats("perturb", PERTURB, "adv"),
    **_in_both_formats("perturb differences", DIFFERENCES, "adv"),
    "perturb and explain": Case(
        (*PERTURB, "--output", "adv.zarr", "--heatmaps", "cams.zarr"), ("adv.zarr", "cams.zarr")
    ),
    **_in_both_formats("explain", EXPLAIN, "cams"),
    **_in_both_formats("score", SCORE, "weights"),
    **_in_both_formats("data materialize", MATERIALIZE, "photos"),
    "convert to h5": Case(("convert", "../inputs/adv.zarr", "adv.h5"), ("adv.h5",)),
    "convert to zarr": Case(("convert", "../inputs/adv.h5", "adv.zarr"), ("adv.zarr",)),
    "convert to differences": Case(
        ("convert", "../inputs/adv.zarr", "adv.h5", "--store", "differences"), ("adv.h5",)
    ),
    "perturb instead of another": Case(
        (*PERTURB, "--output", "adv.zarr", "--force"),
        ("adv.zarr",),
        before=((*PERTURB[:-1], 2, "--output", "adv.zarr"),),
    ),
    "merge adv.zarr": _merging("adv.zarr"),
    "merge adv.h5": _merging("adv.h5"),
    "train": Case((*TRAIN, "--output", "model"), ("model",)),
    "train weighted": Case(
        (
            *(*TRAIN, "--resume", "../inputs/half", "--output", "model"),
            *("--weights", "../inputs/weights.zarr", "--samples", "../inputs/adv.zarr"),
        ),
        ("model",),
    ),
    "adopt": Case(
        (
            *("adopt", "--model", "squeezenet1_1", "--checkpoint", "../inputs/network.pth"),
            *("--names", "dark,light", "--image-size", 64, "--output", "adopted"),
        ),
        ("adopted",),
    ),
    "evaluate": Case((*EVALUATE, *MODEL, "--output", "eval"), ("eval",)),
    "evaluate more": Case(
        (*EVALUATE, *MODEL, "--output", "eval"),
        ("eval",),
        before=(("evaluate", *MODEL, *DATA, *WORK, *CLASSIFICATION, "--output", "eval"),),
    ),
    "evaluate models": Case(
        (
            *("evaluate", "--models", "../inputs/model,../inputs/half", *DATA, *WORK),
            *(*CLASSIFICATION, "--output", "audit"),
        ),
        ("audit",),
        growing=("audit/leaderboard.csv", "audit/results.json"),
    ),
    "report": Case(
        ("report", "run", "--figures", "figures", "--tables", "tables"), (), before=(WHOLE,)
    ),
    "validity": Case(("validity", "../inputs/study.toml", "--output", "study"), ("study",)),
    "run": Case(WHOLE, ("run",)),
    "run in processes": Case((*WHOLE, "--processes", 2), ("run",), starts_processes=True),
    "perturb in ranks": Case(
        (*PERTURB, "--nproc", 2, "--output", "adv.zarr"), ("adv.zarr",), starts_processes=True
    ),
}


def prepare(zygote: Zygote, root: Path, environment: Mapping[str, str]) -> None:
    """Write what all commands read into `inputs/`."""
    inputs = root / "inputs"
    inputs.mkdir()
    write_images(inputs / "images" / "train")
    (inputs / "experiment.toml").write_text(EXPERIMENT)
    (inputs / "study.toml").write_text(STUDY)
    subprocess.run([sys.executable, "-c", CHECKPOINT], cwd=inputs, check=True)
    for command in (
        (*TRAIN, "--output", "../inputs/model"),
        (*TRAIN, "--until-epoch", 2, "--output", "../inputs/half"),
        (*PERTURB, "--output", "../inputs/adv.zarr"),
        (*PERTURB, "--output", "../inputs/adv.h5"),
        (*EXPLAIN, "--output", "../inputs/cams.zarr"),
        (*SCORE, "--output", "../inputs/weights.zarr"),
    ):
        zygote.succeed(*command, cwd=str(inputs), environment=dict(environment))


def write_images(folder: Path) -> None:
    """Write twenty dark and twenty light images into folders of their classes."""
    generator = np.random.default_rng(0)
    for number in range(40):
        name, low = ("dark", 0) if number % 2 else ("light", 128)
        (folder / name).mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(low, low + 128, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name / f"{number:02d}.png")


def environment_of(root: Path, temporary: Path) -> dict[str, str]:
    """Return the environment of the commands."""
    own = {"ECTOOL_DATA": str(root / "data"), "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own}
