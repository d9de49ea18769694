"""Measure how long a new user waits: for the help of every command, and for a first result.

    python -m benchmarks.first_result [--images N]

The first result is that of a folder of photographs and a checkpoint of ResNet-18 at 224 pixels;
each command is a process of its own, on all cores. The photographs are crops of scikit-image's,
and the weights are random: neither changes the time.

Prints a table and writes benchmarks/first_result.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data
from torchvision.models import resnet18

from benchmarks.table import Row, report

RECORD = Path(__file__).with_suffix(".json")
PHOTOS = {"cat": data.chelsea, "cup": data.coffee, "rocket": data.rocket, "person": data.astronaut}
SIDE = 256
RESULTS = {
    "accuracy and page": ("adopt", "evaluate", "report"),
    "explanation consistency": ("adopt", "perturb", "explain", "score"),
}
HELP_RUNS = 3
COMMANDS = (
    *("perturb", "explain", "score", "train", "evaluate", "run", "report", "adopt", "compare"),
    *("data", "inspect", "convert", "doctor"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100)
    images = parser.parse_args().images
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder:
        root = Path(folder)
        write_photos(root / "photos" / "test", images)
        torch.save(resnet18(num_classes=len(PHOTOS)).state_dict(), root / "my.pth")
        rows = [*first_result(root, images), *helps(root)]
    report(rows, RECORD)


def write_photos(folder: Path, images: int) -> None:
    """Write random crops of the photographs into class folders."""
    random = np.random.default_rng(0)
    for number in range(images):
        name = list(PHOTOS)[number % len(PHOTOS)]
        photo = PHOTOS[name]()
        top, left = (int(random.integers(0, length - SIDE + 1)) for length in photo.shape[:2])
        path = folder / name / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo[top : top + SIDE, left : left + SIDE]).save(path, quality=90)


def first_result(root: Path, images: int) -> list[Row]:
    """Return the seconds of each command; and of all for accuracy, and of all for consistency."""
    shared = ("--data", "imagefolder:photos", "--split", "test", "--device", "cpu")
    adopt = ("--model", "resnet18", "--checkpoint", "my.pth", "--classes-from", "photos/test")
    steps = {
        "adopt": (*adopt, "--output", "mine"),
        "evaluate": ("--model", "mine", *shared, "--suite", "classification", "--output", "audit"),
        "report": ("audit",),
        "perturb": ("--model", "mine", *shared, "--output", "samples.zarr"),
        "explain": ("--model", "mine", "--samples", "samples.zarr", "--output", "heatmaps.zarr"),
        "score": ("--heatmaps", "heatmaps.zarr"),
    }
    seconds = {name: timed(root, name, *options) for name, options in steps.items()}
    rows = [Row(f"ectool {name}", value, None, "s", None, "") for name, value in seconds.items()]
    for what, names in RESULTS.items():
        total = sum(seconds[name] for name in names)
        job = f"{images} photos, ResNet-18, {what}: {', '.join(names)}"
        rows.append(Row(job, total, None, "s", None, "<= 60 s"))
    return rows


def helps(root: Path) -> list[Row]:
    """Return the seconds of every help: the median of some runs."""
    rows = []
    for command in ((), *((name,) for name in COMMANDS)):
        seconds = sorted(timed(root, *command, "--help") for _ in range(HELP_RUNS))
        name = " ".join(("ectool", *command, "--help"))
        rows.append(Row(name, seconds[HELP_RUNS // 2], None, "s", None, "<= 0.5 s"))
    return rows


def timed(root: Path, *arguments: str) -> float:
    """Return the seconds of a command.

    Raises:
        subprocess.CalledProcessError: It fails.
    """
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    command = [sys.executable, "-m", "ectool", *arguments]
    subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
