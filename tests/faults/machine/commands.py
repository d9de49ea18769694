"""The commands of a bench, and their inputs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from tests.faults.machine.bench import Bench

TESTS = Path(__file__).parents[2]
EXPERIMENT = """
[experiment]
title = "Faults"
seeds = [0]
warmup = 0.5
[experiment.arms.plain]
[experiment.arms.ec]
reweight = "consistency"
[defaults]
data = "imagefolder:{images}"
split = "train"
size = 16
device = "cpu"
batch_size = 16
[train]
epochs = 2
model = "smallcnn"
[perturb]
steps = 1
shard_size = 16
[evaluate]
suite = ["classification"]
bootstrap = 100
"""


def _images(root: Path) -> None:
    generator = np.random.default_rng(0)
    for number in range(40):
        name, low = ("dark", 0) if number % 2 else ("light", 128)
        (root / "train" / name).mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(low, low + 128, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "train" / name / f"{number:02d}.png")


@contextmanager
def zygote(environment: Mapping[str, str] | None = None) -> Iterator[tuple[str, int]]:
    """Start the process that forks commands; yield its address and its process id."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/zygote"
        process = subprocess.Popen(
            [sys.executable, str(TESTS / "zygote.py"), address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
            start_new_session=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == "ready\n"
            yield address, process.pid
            process.stdin.close()


def build(root: Path, address: str, pid: int) -> Bench:
    """Make the inputs of every command, and the bytes of their outputs."""
    bench = Bench(root, address, pid)
    inputs, images = root / "inputs", root / "images"
    inputs.mkdir()
    _images(images)
    (inputs / "e.toml").write_text(EXPERIMENT.format(images=images))
    data = ["--data", f"imagefolder:{images}", "--size", "16"]
    shape, cpu = [*data, "--split", "train"], ["--device", "cpu"]
    small = [*cpu, "--shard-size", "8", "--batch-size", "8"]
    paths = {name: str(inputs / name) for name in ("model", "adv.zarr", "cams.zarr", "run", "w.h5")}
    perturb = ["perturb", "--model", paths["model"], *shape, *small, "--steps", "1"]
    explain = ["explain", "--model", paths["model"], "--samples", paths["adv.zarr"], *small]
    score = ["score", "--heatmaps", paths["cams.zarr"], "--shard-size", "8"]
    train = ["train", *data, *cpu, "--epochs", "3", "--batch-size", "16"]
    table: dict[str, tuple[list[str], str, str]] = {
        "train": ([*train, "--output"], "model", "images"),
        "perturb": ([*perturb, "--output"], "adv.zarr", "images"),
        "perturb to HDF5": ([*perturb, "--output"], "adv.h5", "model"),
        "explain": ([*explain, "--output"], "cams.zarr", "adv.zarr"),
        "explain to HDF5": ([*explain, "--output"], "cams.h5", "model"),
        "score": ([*score, "--output"], "w.zarr", "cams.zarr"),
        "score to HDF5": ([*score, "--output"], "w.h5", "cams.zarr"),
        "evaluate": (
            [
                *("evaluate", "--model", paths["model"], *shape, *small),
                *("--suite", "classification,robustness", "--attacks", "pgd", "--eps", "2/255"),
                *("--eps-l2", "", "--steps", "1", "--corruptions", "", "--bootstrap", "100"),
                "--output",
            ],
            "eval",
            "model",
        ),
        "adopt": (
            [
                *("adopt", "--model", "smallcnn", "--names", "dark,light", "--image-size", "16"),
                *("--checkpoint", f"{paths['model']}/model.safetensors", "--output"),
            ],
            "adopted",
            "model",
        ),
        "run": (["run", str(inputs / "e.toml"), "--output"], "experiment", "images"),
        "report": (["report", paths["run"], "--output"], "report.html", "run"),
        "convert": (["convert", paths["cams.zarr"]], "cams.h5", "cams.zarr"),
        "convert to Zarr": (["convert", paths["w.h5"]], "w.zarr", "w.h5"),
        "materialize": (
            ["data", "materialize", f"imagefolder:{images}", "--size", "16", "--output"],
            "pictures.zarr",
            "images",
        ),
        "merge": (["merge"], "adv.zarr", "model"),
    }
    for name, (argv, output, read) in table.items():
        bench.commands[name], bench.outputs[name] = argv, output
        bench.inputs[name] = images if read == "images" else inputs / read
    bench.prepared["merge"] = [[*perturb, "--shard", f"{n}/2", "--output"] for n in (1, 2)]
    for name, output in (
        *(("train", "model"), ("perturb", "adv.zarr"), ("explain", "cams.zarr"), ("run", "run")),
        ("score", "w.h5"),
    ):
        done = bench.run([*bench.commands[name], paths[output]])
        assert done.code == 0, done.text
    bench.refer()
    return bench


@contextmanager
def benches(environment: Mapping[str, str] | None = None) -> Iterator[Bench]:
    """Make a bench in a temporary folder, with a state folder and data of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        zygote(environment) as (name, pid),
    ):
        root = Path(folder)
        root.chmod(0o755)  # another user reads the inputs
        (root / "nobody").mkdir()
        (root / "nobody").chmod(0o777)
        own = {"ECTOOL_DATA": str(root / "data"), "XDG_STATE_HOME": str(root / "state")}
        before = dict(os.environ)
        os.environ.update(own)
        try:
            yield build(root, name, pid)
        finally:
            os.environ.clear()
            os.environ.update(before)
