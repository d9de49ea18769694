"""Every command with an output, small, with the bytes that it writes where nothing fails."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.forked import Command

TESTS = Path(__file__).parents[2]
LIMIT = 90.0
"""Seconds until a command counts as hanging."""
DOCUMENTED = {3}
"""Exit codes of faults of the machine."""
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


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    text: str

    def faults(self, codes: set[int] = DOCUMENTED) -> list[str]:
        """Return what is wrong with the end of a command that could not finish."""
        found = []
        errors = [line for line in self.text.splitlines() if line.startswith("error: ")]
        if self.code == 0:
            return []
        if self.code not in codes:
            found.append(f"exit code {self.code}")
        if "Traceback" in self.text or "Exception ignored" in self.text:
            found.append("a traceback")
        if len(errors) != 1 or self.text.splitlines()[-1:] != errors:
            found.append(f"{len(errors)} lines of error")
        if any("bug in ectool" in line for line in errors):
            found.append("a bug")
        return [f"{one}: {' / '.join(self.text.splitlines()[-2:])[:400]}" for one in found]


@dataclass
class Bench:
    """A folder with inputs, and the process that forks commands.

    Attributes:
        root: The folder; outputs lie in folders in it.
        address: Socket of the zygote.
        pid: Process id of the zygote.
        commands: Command lines by name, without the output.
        outputs: Name of each output.
        prepared: Commands that come before, by the name of a command.
        inputs: Path that a command reads.
        trees: The bytes of every output.
    """

    root: Path
    address: str
    pid: int
    commands: dict[str, list[str]] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    prepared: dict[str, list[list[str]]] = field(default_factory=dict)
    inputs: dict[str, Path] = field(default_factory=dict)
    trees: dict[str, dict[str, bytes]] = field(default_factory=dict)
    count: int = 0

    def folder(self) -> Path:
        """Return a new folder for an output."""
        self.count += 1
        made = self.root / f"case-{self.count}"
        made.mkdir()
        return made

    def argv(self, name: str, folder: Path) -> list[str]:
        """Return the command line for an output in a folder."""
        return [*self.commands[name], str(folder / self.outputs[name])]

    def prepare(self, name: str, folder: Path) -> None:
        """Run what comes before a command."""
        for argv in self.prepared.get(name, []):
            done = self.run([*argv, str(folder / self.outputs[name])])
            assert done.code == 0, done.text

    @contextmanager
    def started(self, argv: list[str], **options: Any) -> Iterator[tuple[Command, Path]]:
        """Start a command; yield it, and the file with its streams."""
        self.count += 1
        log = self.root / f"log-{self.count}"
        with log.open("wb") as file:
            command = Command(self.address, argv, (file.fileno(), file.fileno()), **options)
        yield command, log

    def run(self, argv: list[str], **options: Any) -> Done:
        """Run a command."""
        with self.started(argv, **options) as (command, log):
            return Done(command.wait(), log.read_text(errors="replace"))

    def refer(self) -> None:
        """Run every command where nothing fails, and keep the bytes."""
        for name in self.commands:
            folder = self.folder()
            self.prepare(name, folder)
            done = self.run(self.argv(name, folder))
            assert done.code == 0, (name, done.text)
            self.trees[name] = tree(folder)

    def finishes(self, name: str, folder: Path) -> list[str]:
        """Run a command once more; return how it or its bytes differ from those without a fault."""
        done = self.run(self.argv(name, folder))
        if done.code != 0:
            return [f"does not finish: {done.text[-400:]}"]
        found, wanted = tree(folder), self.trees[name]
        differing = {n for n in found.keys() | wanted.keys() if found.get(n) != wanted.get(n)}
        return [f"other bytes afterwards: {sorted(differing)[:5]}"] if differing else []


def tree(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


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
        own = {"ECTOOL_DATA": str(root / "data"), "XDG_STATE_HOME": str(root / "state")}
        before = dict(os.environ)
        os.environ.update(own)
        try:
            yield build(root, name, pid)
        finally:
            os.environ.clear()
            os.environ.update(before)


def until(is_so: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Wait for a condition; return whether it came true."""
    end = time.monotonic() + seconds
    while not (found := is_so()) and time.monotonic() < end:
        time.sleep(0.001)
    return found
