"""Measure the speed of reading images, and the memory that a large data set takes.

    python -m benchmarks.loading [--runs N] [--only JOB]    reading and waiting, about two minutes
    python -m benchmarks.loading --only memory [--images N]   100,000 images, about half an hour

Prints a table; without --only also writes benchmarks/loading.json (without the memory job), and the
memory job writes benchmarks/memory.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from benchmarks.table import Row, measure_process, paired, report
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.config import DataOptions, TrainConfig
from ectool.datasets.images import read_image
from ectool.datasets.pixels import as_rgb
from ectool.stages import train
from ectool.stages.common.inputs import open_data
from ectool.types import SilentReporter

HERE = Path(__file__).parent
SIDE = 96
CLASSES = 10
BATCH = 64
WORKERS = 2
JPEG_SIZE = (500, 375)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--images", type=int, default=100_000, help="of the memory job")
    parser.add_argument("--only", default="", help="materialized, jpeg, checks, waiting or memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder:
        os.environ["ECTOOL_DATA"] = folder
        root = Path(folder)
        if options.only == "memory":
            report(memory_rows(root, options.images), HERE / "memory.json")
            return
        jobs: dict[str, Callable[[], list[Row]]] = {
            "materialized": lambda: materialized_rows(root, options.runs),
            "jpeg": lambda: jpeg_rows(root, options.runs),
            "checks": lambda: checks_rows(root, options.runs),
            "waiting": lambda: waiting_rows(root),
        }
        rows = [row for name, job in jobs.items() if name.startswith(options.only) for row in job()]
    report(rows, None if options.only else HERE / "loading.json")


def write_images(path: Path, count: int) -> Path:
    """Write crops of scikit-learn's photographs as `data materialize` would."""
    photographs = load_sample_images().images
    generator = np.random.default_rng(0)
    recipe = Recipe(kind="pictures", stage="benchmark", config={"count": count})
    attributes = {"classes": [str(label) for label in range(CLASSES)]}
    with growing(path, recipe, length=count, shard_size=256, attributes=attributes) as partial:
        for number, (start, stop) in enumerate(partial.ranges):
            images = np.empty((stop - start, 3, SIDE, SIDE), np.uint8)
            for row, image in enumerate(images, start):
                photograph = photographs[row % 2]
                top, left = (int(generator.integers(0, s - SIDE)) for s in photograph.shape[:2])
                image[:] = photograph[top : top + SIDE, left : left + SIDE].transpose(2, 0, 1)
            ids = [f"crop/{row:06d}" for row in range(start, stop)]
            arrays = {
                "sample_id": np.array(ids, dtype=np.dtypes.StringDType()),
                "label": np.arange(start, stop) % CLASSES,
                "image": images,
            }
            partial.write(number, arrays, {})
        return partial.publish()


def materialized_rows(root: Path, runs: int) -> list[Row]:
    """Measure random batches of decoded images, on one core."""
    count = 20_000
    path = write_images(root / "crops.zarr", count)
    rates = []
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    with Artifact(path) as artifact:
        for run in range(runs + 1):
            order = np.random.default_rng(run).permutation(count)
            start = time.perf_counter()
            for first in range(0, count, BATCH):
                artifact.take("image", order[first : first + BATCH])
            rates.append(count / (time.perf_counter() - start))
    os.sched_setaffinity(0, cores)
    rate = statistics.median(rates[1:])  # the first run reads the disk and checks every chunk
    job = "reading materialized images, 96, uint8, random batches of 64, one core"
    return [Row(job, rate, None, "images/s", None, ">= 20000")]


def jpeg_rows(root: Path, runs: int) -> list[Row]:
    """Compare batches of JPEG files in the evaluation view with torchvision, equal workers."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    folder = write_jpegs(root / "jpegs", 1024)
    dataset = open_data(DataOptions(data=f"imagefolder:{folder}"), "train")
    view = transforms.Compose(
        [transforms.Resize(256), transforms.CenterCrop(224), transforms.PILToTensor()]
    )
    peer = DataLoader(
        datasets.ImageFolder(str(folder / "train"), view),
        batch_size=BATCH,
        num_workers=WORKERS,
        persistent_workers=True,
    )
    count = len(dataset.sample_ids)

    def ours() -> None:
        for first in range(0, count, BATCH):
            dataset.images(np.arange(first, min(first + BATCH, count)))

    def theirs() -> None:
        for _ in peer:
            pass

    mine, reference = paired(ours, theirs, runs)
    rates = count / mine, count / reference
    job = f"decoding JPEG files, 500 x 375 to 224, {WORKERS} workers / torchvision ImageFolder"
    return [Row(job, *rates, "images/s", rates[0] / rates[1], ">= 0.9")]


def checks_rows(root: Path, runs: int) -> list[Row]:
    """Compare decoding with the checks of the header against decoding alone, in one thread.

    Each image is decoded both ways in turn, and the fastest of `20 * runs` times counts.
    """
    folder = write_jpegs(root / "few", 16)
    files = sorted(folder.rglob("*.jpg"))
    ours, bare = 0.0, 0.0
    for file in files:
        calls = partial(read_image, file), partial(_bare, file)
        times = [tuple(map(_seconds, calls)) for _ in range(20 * runs)]
        ours, bare = ours + min(time[0] for time in times), bare + min(time[1] for time in times)
    job = "one JPEG file of 500 x 375 with the checks of its header / decoding alone"
    rates = len(files) / ours, len(files) / bare
    return [Row(job, *rates, "images/s", rates[0] / rates[1], ">= 0.99")]


def _bare(file: Path) -> None:
    with Image.open(file) as image:
        as_rgb(image)


def _seconds(call: Callable[[], object]) -> float:
    start = time.thread_time()
    call()
    return time.thread_time() - start


def write_jpegs(folder: Path, count: int) -> Path:
    photographs = load_sample_images().images
    generator = np.random.default_rng(0)
    width, height = JPEG_SIZE
    for number in range(count):
        photograph = photographs[number % 2]
        top, left = (
            int(generator.integers(0, side - short))
            for side, short in zip(photograph.shape[:2], (height, width), strict=True)
        )
        place = folder / "train" / f"photograph{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        crop = Image.fromarray(photograph[top : top + height, left : left + width])
        crop.save(place / f"{number:05d}.jpg", quality=90)
    return folder


class Notes(SilentReporter):
    """Records the notes of a training."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def note(self, message: str) -> None:
        self.messages.append(message)


def waiting_rows(root: Path) -> list[Row]:
    """Measure the share of time in which training `smallcnn` waits for images."""
    path = write_images(root / "train.zarr", 4096)
    rows = []
    for name, given in {
        "plain": {},
        "crops and flips": {"crop_scale": 0.35, "flip": True},
    }.items():
        notes = Notes()
        output = root / f"model {name}"
        train.run(TrainConfig(data=f"zarr:{path}", epochs=3, output=output, **given), notes)
        shares = [float(text.rpartition(" ")[2].rstrip("%")) for text in notes.messages]
        job = f"training smallcnn, 96, {name}: waiting for data"
        rows.append(Row(job, statistics.median(shares), None, "%", None, "<= 5"))
    return rows


def memory_rows(root: Path, images: int) -> list[Row]:
    """Measure the peak memory of every stage on many images of 96 pixels."""
    torch.manual_seed(0)
    data = f"zarr:{write_images(root / 'train.zarr', images)}"
    small = f"zarr:{write_images(root / 'few.zarr', 256)}"
    model, samples, heatmaps = (str(root / name) for name in ("model", "adv.zarr", "cams.zarr"))
    train.run(TrainConfig(data=small, epochs=1, output=Path(model)))
    commands = {
        "perturb, 1 step": {"model": model, "data": data, "steps": "1", "output": samples},
        "explain, pairs": {"model": model, "samples": samples, "output": heatmaps},
        "score": {"heatmaps": heatmaps},
    }
    rows = []
    for name, flags in commands.items():
        given = [part for flag, value in flags.items() for part in (f"--{flag}", value)]
        seconds, megabytes = measure_process([name.partition(",")[0], *given])
        job = f"{name}, {images:,} images of {SIDE} pixels"
        print(f"{job}: {seconds:.0f} s, {megabytes:.0f} MB", flush=True)
        rows += [
            Row(f"{job}: time", seconds, None, "s", None, ""),
            Row(f"{job}: peak memory", megabytes, None, "MB", None, "< 2500"),
        ]
    return rows


if __name__ == "__main__":
    main()
