"""Measure the cost of training objectives that perturb inside the batch, against plain training.

    python -m benchmarks.online [--runs N] [--steps N] [--device NAME]

Each objective trains the same network on the same batches of noise, one epoch at a time, in turn
with the others. Plain training (`erm`) is the reference, and the ratio is the cost in its units:
seconds of the objective divided by seconds of `erm`. On a CPU these are seconds of this process, so
that other programs count less. Each row is the median over the runs. Prints a table and writes
benchmarks/online.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.table import Row, report
from ectool.config import TrainConfig
from ectool.config.objectives import REPLACING
from ectool.models.memory import keep_freed_memory
from ectool.models.registry import create
from ectool.training.batch import Position, TrainingBatch
from ectool.training.loop import make_optimizer, train_epoch
from ectool.training.objectives import OBJECTIVES, Setup

RESULTS = Path(__file__).with_name("online.json")
NETWORKS = (("smallcnn", 32), ("smallcnn", 64), ("resnet18", 64))
"""Architecture and side of the images."""
PLAIN = "erm"
TARGETS = {"ec": "<= 2.0"}
TIMED = ("adversarial", "ec", "ec-cam", "ec-weights", "ec-rate")
BATCH = 32
CLASSES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4, help="batches in an epoch")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    keep_freed_memory()
    device = torch.device(options.device)
    rows = []
    for architecture, side in NETWORKS:
        rows += measure(architecture, side, options.runs, options.steps, device)
    report(rows, RESULTS if device.type == "cpu" else None)


def measure(architecture: str, side: int, runs: int, steps: int, device: torch.device) -> list[Row]:
    """Time epochs of all objectives with one network, in turn."""
    batches = make_batches(side, steps, device)
    names = (PLAIN, *TIMED)
    epochs = {name: training(name, architecture, batches, device) for name in names}
    for epoch in epochs.values():
        epoch()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    for _ in range(runs):
        for name, epoch in epochs.items():
            start = clock()
            epoch()
            seconds[name].append(clock() - start)
    rates = {name: steps * BATCH / statistics.median(took) for name, took in seconds.items()}
    return [
        Row(
            f"{architecture} at {side} pixels, {name}",
            rates[name],
            rates[PLAIN],
            "images/s",
            rates[PLAIN] / rates[name],
            TARGETS.get(name, ""),
        )
        for name in TIMED
    ]


def training(
    name: str, architecture: str, batches: list[TrainingBatch], device: torch.device
) -> Callable[[], None]:
    """Return a function that trains one epoch, in the middle of the objective's epochs."""
    _, channels, height, width = batches[0].pixels.shape
    classes = [str(number) for number in range(CLASSES)]
    model = create(architecture, classes, seed=0, input_size=(height, width)).to(device)
    labels = torch.cat([batch.labels for batch in batches])
    settings = TrainConfig(output="model", objective=name).settings()
    settings["mix"] = REPLACING.get(name, 0.0)
    setup = Setup(settings, model, labels, None, (channels, height, width))
    objective = OBJECTIVES[name](setup).to(device)
    optimizer = make_optimizer(model, "sgd", lr=0.01, weight_decay=5e-4)

    def position(step: int) -> Position:
        return Position(0, step, 0.5, torch.Generator().manual_seed(step))

    def epoch() -> None:
        objective.begin(model, optimizer, lambda: batches, position(0))
        train_epoch(model, optimizer, batches, lambda _: 0.01, objective, position)

    return epoch


def make_batches(side: int, steps: int, device: torch.device) -> list[TrainingBatch]:
    """Return batches of noise, in the memory format of the training's own."""
    draw = torch.Generator().manual_seed(0)
    made = []
    for step in range(steps):
        images = torch.randint(256, (BATCH, 3, side, side), generator=draw) / 255
        made.append(
            TrainingBatch(
                pixels=images.to(device, memory_format=torch.channels_last),
                labels=torch.randint(CLASSES, (BATCH,), generator=draw).to(device),
                weights=torch.ones(BATCH, device=device),
                rows=torch.arange(BATCH, device=device) + step * BATCH,
            )
        )
    return made


if __name__ == "__main__":
    main()
