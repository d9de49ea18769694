"""Measure the cost of a pipeline's steps in forward passes, to estimate its time on other machines.

    python -m benchmarks.passes [--runs N] [--images N]

One forward pass of one image is the unit: a step that costs 5 takes about five times as long as one
forward pass, on any machine. Prints a table and writes benchmarks/passes.json.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torchvision.models import get_model

from benchmarks.table import Row, paired, report
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.config import ExplainConfig, PerturbConfig, TrainConfig
from ectool.models.classifier import to_pixels
from ectool.stages import explain, perturb, train

RESULTS = Path(__file__).with_name("passes.json")
NETWORKS = (("resnet18", 96), ("resnet50", 224))
"""Architecture and side of the images, as in pipelines/."""
BATCH = 32
CLASSES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--images", type=int, default=256)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder:
        os.environ["ECTOOL_DATA"] = folder
        for architecture, side in NETWORKS:
            root = Path(folder) / architecture
            count = options.images if side < 200 else options.images // 4
            rows += network_rows(root, architecture, side, count, options.runs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows.append(Row("peak memory of this process", peak, None, "MB", None, ""))
    report(rows, RESULTS)


def network_rows(root: Path, architecture: str, side: int, count: int, runs: int) -> list[Row]:
    """Time the steps of a round with one network, each in turn with bare forward passes."""
    data = f"zarr:{write_noise(root / 'train.zarr', count, side)}"
    network = get_model(architecture, num_classes=CLASSES).eval()
    network.requires_grad_(False).to(memory_format=torch.channels_last)
    batch = to_pixels(np.random.default_rng(0).integers(0, 256, (BATCH, 3, side, side), np.uint8))

    def forward() -> None:
        with torch.no_grad():
            for _ in range(count // BATCH):
                network(batch)

    learn = {"model": architecture, "data": data, "batch_size": BATCH}
    model = train.run(TrainConfig(**learn, epochs=1, output=root / "model")).path
    chosen = {"model": str(model), "batch_size": BATCH}
    first = perturb.run(PerturbConfig(**chosen, data=data, output=root / "first.zarr")).path
    output = root / "output.zarr"
    steps: dict[str, Callable[[], object]] = {
        "training, an epoch": lambda: train.run(
            TrainConfig(**learn, epochs=1, seed=1, output=output.with_suffix(""))
        ),
        "perturb, cold, 5 steps": lambda: perturb.run(
            PerturbConfig(**chosen, data=data, output=output)
        ),
        "perturb, warm, 2 steps": lambda: perturb.run(
            PerturbConfig(**chosen, data=data, init=first, output=output)
        ),
        "explain, pairs": lambda: explain.run(
            ExplainConfig(**chosen, samples=first, output=output)
        ),
    }
    rows = []
    for name, step in steps.items():

        def ours(step: Callable[[], object] = step) -> None:
            shutil.rmtree(output, ignore_errors=True)
            shutil.rmtree(output.with_suffix(""), ignore_errors=True)
            step()

        mine, bare = paired(ours, forward, runs)
        rates = count / mine, count // BATCH * BATCH / bare
        job = f"{architecture}, {side}: {name} (ratio: passes)"
        rows.append(Row(job, *rates, "images/s", rates[1] / rates[0], ""))
    return rows


def write_noise(path: Path, count: int, side: int) -> Path:
    generator = np.random.default_rng(0)
    recipe = Recipe(kind="pictures", stage="benchmark", config={"count": count, "side": side})
    attributes = {"classes": [str(label) for label in range(CLASSES)]}
    path.parent.mkdir(parents=True)
    with growing(path, recipe, length=count, shard_size=count, attributes=attributes) as partial:
        arrays = {
            "sample_id": np.array([str(row) for row in range(count)], np.dtypes.StringDType()),
            "label": np.arange(count) % CLASSES,
            "image": generator.integers(0, 256, (count, 3, side, side), np.uint8),
        }
        partial.write(0, arrays, {})
        return partial.publish()


if __name__ == "__main__":
    main()
