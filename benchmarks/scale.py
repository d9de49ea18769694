"""Measure the stages without a network at the size of ImageNet: 1.28 million samples.

    python -m benchmarks.scale --folder FOLDER [--samples N] [--classes N] [--keep]

Synthetic heatmaps of 14 x 14 pixels (float16), logits of 1,000 classes (float32, as `explain`
writes them), a data set of the same ids, and samples and weights in a shuffled order are written
through ectool's own writer, in shards of the default size: 11.5 GB in the folder. Then every part
runs as a process of its own: its seconds, the seconds of its threads on a processor, and its peak
memory are measured. Writing takes minutes
and is not counted. A killed benchmark continues with the same command: finished shards and parts
stay. In the end the folder is removed, unless --keep is given. Prints a table; the full size also
writes benchmarks/scale.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.table import Row, measure_process, peak_memory, report
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing, up_to_date
from ectool.artifacts.schema import Arrays

RESULTS = Path(__file__).with_name("scale.json")
SAMPLES, CLASSES, SIDE = 1_281_167, 1000, 14
SHARD, WEIGHT_SHARD = 256, 65_536
"""Default shard sizes of `explain` and `score`."""
SECONDS, MEGABYTES = 300, 2000
"""Wanted: all parts together, and each of them."""
Measured = tuple[float, float]
"""Seconds, and peak memory in MB."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="empty, or of a killed run")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--classes", type=int, default=CLASSES)
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    parser.add_argument("--part", choices=INNER, help="internal: run one part in this process")
    options = parser.parse_args()
    if options.part:
        INNER[options.part](options.folder)
        print(peak_memory(), file=sys.stderr)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    write_all(options.folder, options.samples, options.classes)
    rows = measured(options.folder, options.samples)
    report(rows, RESULTS if options.samples == SAMPLES else None)
    if not options.keep:
        shutil.rmtree(options.folder)


def write_all(folder: Path, samples: int, classes: int) -> None:
    """Write the synthetic inputs that are not there yet."""
    start = time.perf_counter()
    order = np.random.default_rng(1).permutation(samples)
    write(folder / "data.zarr", "pictures", samples, lambda rows: image_arrays(rows, classes))
    write(folder / "cams.zarr", "heatmaps", samples, lambda rows: map_arrays(rows, classes))
    write(folder / "adv.zarr", "samples", samples, lambda rows: sample_arrays(order[rows], classes))
    write(folder / "old.zarr", "weights", samples, lambda rows: weight_arrays(order[rows]))
    write_table(folder / "data.csv", samples, classes)
    print(f"inputs: {time.perf_counter() - start:.0f} s", flush=True)


def write(path: Path, kind: str, length: int, make: Callable[[np.ndarray], Arrays]) -> None:
    """Write an artifact shard by shard; finished shards of a killed process stay."""
    recipe = Recipe(kind=kind, stage="benchmark", config={"length": length})
    if up_to_date(path, recipe, force=False):
        return
    size = WEIGHT_SHARD if kind == "weights" else SHARD
    attributes = {"classes": [f"class {number}" for number in range(CLASSES)]}
    with growing(path, recipe, length=length, shard_size=size, attributes=attributes) as partial:
        for number in partial.missing():
            partial.write(number, make(np.arange(*partial.ranges[number])), {})
        partial.publish()


def names(rows: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Return ids as those of ImageNet's files, and labels."""
    labels = rows % classes
    ids = [f"train/n{10_000_000 + row % classes}/n{row % classes}_{row}.JPEG" for row in rows]
    return {"sample_id": np.array(ids, np.dtypes.StringDType()), "label": labels}


def image_arrays(rows: np.ndarray, classes: int) -> Arrays:
    return {**names(rows, classes), "image": np.zeros((len(rows), 3, 1, 1), np.uint8)}


def map_arrays(rows: np.ndarray, classes: int) -> Arrays:
    draw = np.random.default_rng(int(rows[0]))
    shape = (len(rows), SIDE, SIDE)
    clean = draw.random(shape, np.float32)
    found = names(rows, classes)
    logits = 3 * draw.standard_normal((len(rows), classes), np.float32)
    logits[np.arange(len(rows)), found["label"]] += 10
    return {
        **found,
        "target": found["label"],
        "clean": clean.astype(np.float16),
        "adversarial": (clean + draw.random(shape, np.float32) / 2).astype(np.float16),
        "logits_clean": logits,
        "logits_adversarial": logits + draw.standard_normal(logits.shape, np.float32),
    }


def sample_arrays(rows: np.ndarray, classes: int) -> Arrays:
    logits = np.zeros((len(rows), 1), np.float32)
    return {
        **image_arrays(rows, classes),
        "background": np.ones((len(rows), 1, 1), bool),
        "logits_clean": logits,
        "logits_adversarial": logits,
    }


def weight_arrays(rows: np.ndarray, classes: int = CLASSES) -> Arrays:
    scores = np.random.default_rng(int(rows[0])).random(len(rows), np.float32)
    return {
        "sample_id": names(rows, classes)["sample_id"],
        "similarity": scores,
        "stability": np.ones_like(scores),
        "explanation_consistency": scores,
        "weight": 2 * (1 - scores),
    }


def write_table(path: Path, samples: int, classes: int) -> None:
    """Write a table as of `--data csv:`; the files it names do not exist."""
    with path.open("w") as file:
        file.write("path,label,split\n")
        for first in range(0, samples, WEIGHT_SHARD):
            found = names(np.arange(first, min(first + WEIGHT_SHARD, samples)), classes)
            rows = zip(found["sample_id"].tolist(), found["label"].tolist(), strict=True)
            file.writelines(f"{name},class {label},train\n" for name, label in rows)


def measured(folder: Path, samples: int) -> list[Row]:
    """Run every part that has not been measured yet; return seconds and peak memory of each."""
    maps, weights = folder / "cams.zarr", folder / "weights.zarr"
    commands = {
        "score": ["score", "--heatmaps", maps, "--output", folder / "first.zarr"],
        "score --previous, in another order": [
            *("score", "--heatmaps", maps, "--output", weights),
            *("--previous", folder / "old.zarr", "--momentum", "0.5"),
        ],
        "inspect, heatmaps": ["inspect", maps],
        "inspect --verify, heatmaps": ["inspect", maps, "--verify"],
        "inspect --verify, weights": ["inspect", weights, "--verify"],
    }
    parts: dict[str, Callable[[], Measured]] = {
        name: lambda command=command: measure_process(list(map(str, command)))  # type: ignore[misc]
        for name, command in commands.items()
    }
    parts |= {part: lambda part=part: measure_part(part, folder) for part in INNER}  # type: ignore[misc]
    found = {name: remembered(folder / "measured.json", name, run) for name, run in parts.items()}
    return rows_of(found, samples)


def remembered(file: Path, name: str, run: Callable[[], Measured]) -> list[float]:
    """Return seconds, MB and processor seconds, from the file of an earlier process if there."""
    known: dict[str, list[float]] = json.loads(file.read_text()) if file.exists() else {}
    if name not in known:
        before = processor_seconds()
        known[name] = [*run(), processor_seconds() - before]
        file.write_text(json.dumps(known))
        seconds, megabytes, busy = known[name]
        print(f"{name}: {seconds:.1f} s ({busy:.1f} s busy), {megabytes:.0f} MB", flush=True)
    return known[name]


def processor_seconds() -> float:
    """Return the time that finished child processes have spent on a processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure_part(part: str, folder: Path) -> Measured:
    """Return seconds and peak memory in MB of a part that is no command."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.scale", "--folder", str(folder), "--part", part]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, float(done.stderr.splitlines()[-1])


def join(folder: Path) -> None:
    """Open the inputs of a training: data, weights and samples, joined on the sample id."""
    from ectool.config import TrainConfig
    from ectool.distributed.group import Group
    from ectool.distributed.world import World
    from ectool.stages.train.feed import perturbed_images
    from ectool.stages.train.inputs import open_inputs

    paths = {"weights": folder / "weights.zarr", "samples": folder / "adv.zarr"}
    data = f"zarr:{folder / 'data.zarr'}"
    config = TrainConfig(data=data, output=folder / "model", **paths)  # type: ignore[arg-type]
    inputs = open_inputs(config, None)
    assert inputs.samples is not None
    assert inputs.values is not None
    perturbed_images(inputs.samples, inputs.dataset, folder, Group(World()))


def table(folder: Path) -> None:
    """Read the rows of a table of images."""
    from ectool.datasets.own.csv_samples import read_samples

    read_samples(folder / "data.csv")


INNER: dict[str, Callable[[Path], None]] = {"join": join, "table": table}
"""Parts that are no commands."""
TITLES = {"join": "train: data, weights and samples joined", "table": "train: rows of a CSV file"}


def rows_of(found: dict[str, list[float]], samples: int) -> list[Row]:
    rows = []
    for name, (seconds, megabytes, busy) in found.items():
        job = f"{TITLES.get(name, name)}, {samples:,} samples"
        rows.append(Row(job, seconds, None, "s", None, ""))
        rows.append(Row(f"{job}: processors", busy, None, "s", None, ""))
        rows.append(Row(f"{job}: peak memory", megabytes, None, "MB", None, f"< {MEGABYTES}"))
    total, _, busy = (sum(column) for column in zip(*found.values(), strict=True))
    return [
        *rows,
        Row("all of them", total, None, "s", None, f"< {SECONDS}"),
        Row("all of them: processors", busy, None, "s", None, ""),
    ]


if __name__ == "__main__":
    main()
