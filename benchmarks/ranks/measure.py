"""Times of whole commands by one rank and by two, and the parts of the model of many ranks."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torchvision.models import resnet18

from benchmarks.ranks.model import Parts
from ectool.artifacts.artifact import Artifact
from ectool.config import DataOptions
from ectool.stages.common.inputs import open_data

CORES = ("0", "0,1")
"""Cores of one rank, and of two."""
SIDE, SHARD, BATCH = 96, 32, 32
FEW = 2 * SHARD
"""One shard for each of two ranks: the start-up."""


@dataclass(frozen=True)
class Stage:
    """A command to measure.

    Attributes:
        name: Its name.
        options: Its options.
        images: Number of images, many enough for about 20 seconds by one rank.
    """

    name: str
    options: tuple[str, ...]
    images: int


@dataclass(frozen=True)
class Timed:
    """Seconds of a command by one rank and by two, on all images and on few.

    Attributes:
        images: Number of all images.
        whole: Of all images.
        few: Of few images.
    """

    images: int
    whole: tuple[float, float]
    few: tuple[float, float]

    @property
    def rates(self) -> tuple[float, float]:
        """Return the images per second beyond the few, by one rank and by two."""
        further = self.images - FEW
        one, two = (further / (w - f) for w, f in zip(self.whole, self.few, strict=True))
        return one, two


def timed(stage: Stage, root: Path, data: str, runs: int) -> Timed:
    """Run a stage by one rank and by two, in turn, on few images and on all."""
    seconds: dict[tuple[int, int], list[float]] = {}
    for _ in range(runs):
        for count in (FEW, stage.images):
            for ranks in (1, 2):
                found = _seconds(stage, root, data, ranks, count)
                seconds.setdefault((count, ranks), []).append(found)
    middle = {key: statistics.median(values) for key, values in seconds.items()}
    whole, few = ((middle[count, 1], middle[count, 2]) for count in (stage.images, FEW))
    return Timed(stage.images, whole, few)


def _seconds(stage: Stage, root: Path, data: str, ranks: int, count: int) -> float:
    output = root / f"{stage.name}.zarr"
    shutil.rmtree(output, ignore_errors=True)
    command = [
        *("taskset", "--cpu-list", CORES[ranks - 1], sys.executable, "-m", "ectool", stage.name),
        *("--model", "resnet18", "--checkpoint", str(root / "resnet18.pth"), "--size", str(SIDE)),
        *("--data", data, "--limit", str(count), "--nproc", str(ranks), "--threads", "1"),
        *("--batch-size", str(BATCH), "--shard-size", str(SHARD), "--device", "cpu"),
        *("--output", str(output), "--quiet", *stage.options),
    ]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=_one_thread())
    return time.perf_counter() - start


def _one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def parts_of(stage: Stage, found: Timed, root: Path, data: str) -> Parts:
    """Measure what the model needs beside the rates; the last output of the stage exists."""
    one = 1 / found.rates[0]
    start = time.perf_counter()
    open_data(DataOptions(data=data, size=SIDE), "train")
    listed = (time.perf_counter() - start) / stage.images
    start = time.perf_counter()
    with Artifact(root / f"{stage.name}.zarr") as artifact:
        artifact.verify()
    verify = (time.perf_counter() - start) / stage.images
    meeting = _meeting()
    alone, pair = (max(0.0, s - FEW * one / n) for n, s in enumerate(found.few, 1))
    return Parts(
        start=alone,
        launch=max(0.0, pair - alone - meeting["meet"]),
        meet=meeting["meet"],
        image=one - listed - verify,
        listed=listed,
        verify=verify,
        barrier=meeting["barrier"],
    )


def _meeting() -> dict[str, float]:
    """Start two ranks that time their process group."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = [sys.executable, *launcher, "-m", "benchmarks.ranks.meeting"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=_one_thread())
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def training() -> tuple[float, float]:
    """Return the seconds of forward and backward pass of an image, and the bytes of gradients."""
    torch.set_num_threads(1)
    network = resnet18(num_classes=2).to(memory_format=torch.channels_last)
    batch = torch.rand(BATCH, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        network(batch).sum().backward()
        seconds.append(time.perf_counter() - start)
    size = sum(one.numel() * one.element_size() for one in network.parameters())
    return statistics.median(seconds[1:]) / BATCH, float(size)
