"""Measure the stages against the bare passes that they need.

    python -m benchmarks.stages [--images N] [--attacked N] [--pairs N] [--runs N] [--only JOB]

Ours and the reference run in turn, `runs` times each; medians are compared. A stage is timed as a
whole (opening and checking inputs, loading the model, decoding, computing, writing, verifying,
publishing), without starting Python and importing libraries. `score` and `--help` are timed as
whole processes. Prints a table; without --only also writes benchmarks/results.json.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision.models import get_model

from benchmarks.table import Row, measure_process, paired, report
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.config import ExplainConfig, PerturbConfig
from ectool.models.classifier import to_pixels
from ectool.stages import explain, perturb

RESULTS = Path(__file__).with_name("results.json")
BATCH = 64
STEPS = 10
EPS = 8 / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--attacked", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="rows whose job begins like this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder:
        os.environ["ECTOOL_DATA"] = folder
        root = Path(folder)
        data = write_images(root / "images", options.images)
        few = write_images(root / "few", options.attacked)
        large, small = (write_checkpoint(root, name) for name in ("resnet50", "resnet18"))
        jobs: dict[str, Callable[[], list[Row]]] = {
            "explain": lambda: explain_rows(root, data, large, options.images, options.runs),
            "perturb": lambda: perturb_rows(root, few, small, options.attacked, options.runs),
            "round": lambda: round_rows(root, few, small, options.attacked, options.runs),
            "score": lambda: score_rows(root, options.pairs, options.runs),
            "help": lambda: help_rows(options.runs),
        }
        rows = [row for name, job in jobs.items() if name.startswith(options.only) for row in job()]
    report(rows, None if options.only else RESULTS)


def write_images(folder: Path, count: int) -> str:
    """Write JPEG crops of scikit-learn's two photographs as an image folder of two classes."""
    photographs = load_sample_images().images
    generator = np.random.default_rng(0)
    for number in range(count):
        photograph = photographs[number % 2]
        top, left = (int(generator.integers(0, side - 256)) for side in photograph.shape[:2])
        place = folder / "train" / f"photograph{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        crop = Image.fromarray(photograph[top : top + 256, left : left + 256])
        crop.save(place / f"{number:05d}.jpg", quality=90)
    return f"imagefolder:{folder}"


def write_checkpoint(folder: Path, architecture: str) -> Path:
    torch.manual_seed(0)
    path = folder / f"{architecture}.pth"
    torch.save(get_model(architecture, num_classes=2).state_dict(), path)
    return path


def bare_network(checkpoint: Path) -> torch.nn.Module:
    network = get_model(checkpoint.stem, num_classes=2)
    network.load_state_dict(torch.load(checkpoint, weights_only=True))
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def random_batch(count: int = BATCH) -> torch.Tensor:
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 224, 224), dtype=np.uint8)
    return to_pixels(images)


def explain_rows(root: Path, data: str, checkpoint: Path, images: int, runs: int) -> list[Row]:
    network, batch = bare_network(checkpoint), random_batch()
    output = root / "cams.zarr"

    def ours() -> None:
        shutil.rmtree(output, ignore_errors=True)
        explain.run(ExplainConfig(**model_options(checkpoint), data=data, output=output))

    def bare() -> None:
        with torch.no_grad():
            for _ in range(images // BATCH):
                network(batch)

    mine, limit = paired(ours, bare, runs)
    rates = images / mine, images // BATCH * BATCH / limit
    row = Row(
        f"explain, ResNet-50, 224, {images} JPEG files, whole stage / bare forward",
        rates[0],
        rates[1],
        "images/s",
        rates[0] / rates[1],
        ">= 0.85",
    )
    return [row]


def perturb_rows(root: Path, data: str, checkpoint: Path, images: int, runs: int) -> list[Row]:
    network, batch = bare_network(checkpoint), random_batch()
    labels = torch.zeros(len(batch), dtype=torch.int64)
    output = root / "adv.zarr"

    def ours() -> None:
        shutil.rmtree(output, ignore_errors=True)
        perturb.run(
            PerturbConfig(
                **model_options(checkpoint), data=data, output=output, steps=STEPS, eps=EPS
            )
        )

    def bare() -> None:
        for _ in range(max(1, images // BATCH)):
            current = batch
            for _ in range(STEPS):
                current = current.detach().requires_grad_()
                loss = torch.nn.functional.cross_entropy(network(current), labels, reduction="sum")
                torch.autograd.grad(loss, current)

    mine, limit = paired(ours, bare, runs)
    rates = images / mine, max(1, images // BATCH) * BATCH / limit
    row = Row(
        f"perturb, ResNet-18, 224, {STEPS} steps, {images} JPEG files, whole stage / bare loop",
        rates[0],
        rates[1],
        "images/s",
        rates[0] / rates[1],
        ">= 0.85",
    )
    return [row]


def round_rows(root: Path, data: str, checkpoint: Path, images: int, runs: int) -> list[Row]:
    """Compare `perturb --heatmaps` with `perturb` and `explain`, with five steps."""
    samples, heatmaps = root / "round.zarr", root / "round-cams.zarr"

    def clear() -> None:
        for path in (samples, heatmaps):
            shutil.rmtree(path, ignore_errors=True)

    def together() -> None:
        clear()
        perturb.run(
            PerturbConfig(**model_options(checkpoint), data=data, output=samples, heatmaps=heatmaps)
        )

    def apart() -> None:
        clear()
        perturb.run(PerturbConfig(**model_options(checkpoint), data=data, output=samples))
        explain.run(ExplainConfig(**model_options(checkpoint), samples=samples, output=heatmaps))

    one, two = paired(together, apart, runs)
    job = f"a round, ResNet-18, 224, 5 steps, {images} JPEG files: one pass / perturb, then explain"
    return [Row(job, images / one, images / two, "images/s", two / one, ">= 1.1")]


def model_options(checkpoint: Path) -> dict[str, object]:
    """Return the options that name a model."""
    return {"model": checkpoint.stem, "checkpoint": checkpoint, "classes": 2}


def score_rows(root: Path, pairs: int, runs: int) -> list[Row]:
    heatmaps = write_heatmaps(root / "pairs.zarr", pairs)
    seconds, megabytes = [], []
    for run in range(runs):
        output = str(root / f"weights-{run}.zarr")
        command = ["score", "--heatmaps", str(heatmaps), "--output", output]
        took, peak = measure_process(command)
        seconds.append(took)
        megabytes.append(peak)
    job = f"score, {pairs:,} pairs of 7x7 maps, whole process"
    return [
        Row(job, statistics.median(seconds), None, "s", None, "< 15"),
        Row(f"{job}, peak memory", max(megabytes), None, "MB", None, "< 600"),
    ]


def write_heatmaps(path: Path, pairs: int) -> Path:
    """Write random heatmap pairs of 10 classes."""
    generator = np.random.default_rng(0)
    recipe = Recipe(kind="heatmaps", stage="benchmark", config={"pairs": pairs})
    with growing(path, recipe, length=pairs, shard_size=8192) as partial:
        for number, (start, stop) in enumerate(partial.ranges):
            rows = stop - start
            clean = generator.random((rows, 7, 7), dtype=np.float32)
            noise = generator.random((rows, 7, 7), dtype=np.float32)
            logits = generator.normal(size=(rows, 10)).astype(np.float32)
            label = generator.integers(0, 10, rows)
            ids = [f"sample/{row}" for row in range(start, stop)]
            arrays = {
                "sample_id": np.array(ids, dtype=np.dtypes.StringDType()),
                "label": label,
                "target": label,
                "clean": clean.astype(np.float16),
                "adversarial": (clean + 0.5 * noise).astype(np.float16),
                "logits_clean": logits,
                "logits_adversarial": logits,
            }
            partial.write(number, arrays, {})
        return partial.publish()


def help_rows(runs: int) -> list[Row]:
    seconds = []
    for _ in range(max(5, runs)):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "ectool", "--help"], check=True, stdout=subprocess.DEVNULL
        )
        seconds.append(time.perf_counter() - start)
    return [
        Row("ectool --help, whole process", statistics.median(seconds), None, "s", None, "<0.5")
    ]


if __name__ == "__main__":
    main()
