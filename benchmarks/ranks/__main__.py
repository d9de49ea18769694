"""Measure 2 ranks on 2 cores against 1 rank on 1 core, and model what 64 ranks would take.

    python -m benchmarks.ranks [--runs N] [--images N] [--only perturb|explain]

Whole commands run in turn, pinned by taskset, with one thread a rank. The same commands on few
images, one shard for each rank, are the start-up: Python, imports, the launcher, opening and
publishing. Speed is that of the further images: (images - few) / (seconds - seconds of the few).
ResNet-18 with random weights at 96 pixels. Prints two tables, and writes what was measured into
benchmarks/ranks/ranks.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.ranks.measure import FEW, SIDE, Stage, Timed, parts_of, timed, training
from benchmarks.ranks.model import Network, Parts, limit, map_stage, speedup, step
from benchmarks.stages import write_checkpoint, write_images
from benchmarks.table import Row, show
from ectool.artifacts.manifest import library_versions

RECORD = Path(__file__).with_name("ranks.json")
STAGES = (
    Stage("perturb", ("--attack", "pgd", "--steps", "5"), 320),
    Stage("explain", ("--split", "train"), 4096),
)
MANY = 64
SIZES = (1_437, 10_000, 100_000, 1_281_167)
"""Images of the demo, of small data sets, and of ImageNet."""
BATCHES = (256, 2048, 16_384)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--images", type=int, help="default: seconds of work, see STAGES")
    parser.add_argument("--only", default="", choices=["", *(stage.name for stage in STAGES)])
    options = parser.parse_args()
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for stage in (replace(one, images=options.images or one.images) for one in STAGES):
        if not options.only or stage.name == options.only:
            found, parts = _measured(stage, options.runs)
            show(list(_rows(stage, found)))
            _show_model(stage.name, parts)
            record[stage.name] = {"timed": asdict(found), "parts": asdict(parts)}
    if not options.only:
        image, size = training()
        _show_training(image, size)
        record["training"] = {"image": image, "bytes": size}
    record |= {"cores": os.cpu_count(), "versions": library_versions()}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


def _measured(stage: Stage, runs: int) -> tuple[Timed, Parts]:
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder:
        root = Path(folder)
        os.environ["ECTOOL_DATA"] = folder
        data = write_images(root / "images", stage.images)
        write_checkpoint(root, "resnet18")
        found = timed(stage, root, data, runs)
        return found, parts_of(stage, found, root, data)


def _rows(stage: Stage, found: Timed) -> Iterator[Row]:
    one, two = found.rates
    job = f"{stage.name}, ResNet-18, {SIDE}, {stage.images} JPEG files"
    yield Row(f"{job}, 2 ranks / 1 rank", two, one, "images/s", two / one, ">= 1.85")
    for what, (alone, pair) in {
        "whole command": found.whole,
        f"start-up: {FEW} images": found.few,
    }.items():
        yield Row(f"{stage.name}, {what}, 1 rank / 2 ranks", alone, pair, "s", alone / pair, "")


def _show_model(name: str, parts: Parts) -> None:
    print(f"A model of {MANY} ranks, nothing of which was run. Seconds of the measured parts:")
    print("  " + ", ".join(f"{part} {value:.3g}" for part, value in asdict(parts).items()))
    for images in SIZES:
        one, many = (map_stage(parts, images, ranks) for ranks in (1, MANY))
        seconds = sum(one.values()), sum(many.values())
        print(
            f"  {name}, {images:9,} images: {seconds[0]:8.0f} s by one rank, {seconds[1]:7.1f} s "
            f"by {MANY}: {speedup(one, many):5.1f} times; limit: {limit(many)}"
        )


def _show_training(image: float, size: float) -> None:
    for batch in BATCHES:
        one, many = (step(image, batch, size, ranks, Network()) for ranks in (1, MANY))
        print(
            f"  train, batches of {batch:,}: {sum(one.values()):6.2f} s a step by one rank, "
            f"{sum(many.values()):6.3f} s by {MANY}: {speedup(one, many):5.1f} times; "
            f"all-reduce {many['all-reduce']:.3f} s"
        )


if __name__ == "__main__":
    main()
