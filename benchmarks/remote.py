"""Measure reading and writing of artifacts in an S3 server on this machine, against local ones.

    python -m benchmarks.remote [--runs N] [--only JOB]    about two minutes

The server is moto's, a process of its own that shares the cores. Prints a table; without --only
also writes benchmarks/remote.json. Needs `ectool[s3]` and `moto[server]`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.table import Row, report
from ectool import urls
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.config import ExplainConfig, TrainConfig
from ectool.remote import copies, index, objects, reading
from ectool.remote.index import Span
from ectool.settings import resolve
from ectool.stages import explain, train

HERE = Path(__file__).parent
BUCKET = "bench"
MAPS, SHARD, CLASSES = 10_000, 256, 200
IMAGES = 2_000
TIMES = {"first": ">= 0.5", "again": "", "requests": ""}
"""Bounds of the first reading, of that from the copies, and of the requests alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="", help="read or explain")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder, server(Path(folder)):
        jobs: dict[str, Callable[[Path, int], list[Row]]] = {"read": read, "explain": write}
        rows = [
            row
            for name, job in jobs.items()
            if name.startswith(options.only)
            for row in job(Path(folder), options.runs)
        ]
    report(rows, None if options.only else HERE / "remote.json")


@contextmanager
def server(folder: Path) -> Iterator[None]:
    """Run an S3 server with an empty bucket, and point this process at it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        urls.CACHE_VARIABLE: str(folder / "cache"),
    }
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        objects._system("s3").mkdir(BUCKET)
        yield
    finally:
        process.terminate()
        process.wait()


def address(name: str) -> Path:
    """Return the path of an address in the bucket."""
    return urls.local_path(f"s3://{BUCKET}/{name}", "--output")


def write_maps(path: Path) -> Path:
    """Write heatmaps of 7x7 and logits, as `explain` does for pairs of images."""
    recipe = Recipe(kind="heatmaps", stage="explain", config={"maps": MAPS})
    generator = np.random.default_rng(0)
    with growing(path, recipe, length=MAPS, shard_size=SHARD) as partial:
        for number, (start, stop) in enumerate(partial.ranges):
            rows = np.arange(start, stop)
            ids = np.array([f"map/{row:06d}" for row in rows], dtype=np.dtypes.StringDType())
            arrays = {"sample_id": ids, "label": rows % CLASSES, "target": rows % CLASSES}
            for name in ("clean", "adversarial"):
                arrays[name] = generator.random((len(rows), 7, 7)).astype(np.float16)
                logits = generator.normal(size=(len(rows), CLASSES))
                arrays[f"logits_{name}"] = logits.astype(np.float32)
            partial.write(number, arrays, {})
        return partial.publish()


def forget(path: Path) -> None:
    """Forget an artifact, and remove its copies, as on another machine."""
    reading._mirrored.clear()
    reading._looked.clear()
    if path.is_symlink():
        path.unlink()
    shutil.rmtree(urls.cache_folder() / "artifacts", ignore_errors=True)


def seconds(path: Path, names: tuple[str, ...] | None) -> float:
    """Return the time to open an artifact, and to read and compare arrays."""
    start = time.perf_counter()
    with Artifact(path, "heatmaps") as artifact:
        rows = sum(len(arrays["sample_id"]) for _, arrays in artifact.iterate(names))
    assert rows == MAPS
    return time.perf_counter() - start


def bare(path: Path, names: tuple[str, ...] | None) -> float:
    """Return the time of the same requests, whose answers are not used: a limit of any reader."""
    start = time.perf_counter()
    url = urls.url_of(path) or ""
    found = index.parse(objects.read(f"{url}/{index.NAME}") or b"", url)
    pieces = {
        (f"{url}/{place.name}", number * copies.SIZE)
        for name, place in found.files.items()
        if isinstance(place, Span) and (names is None or name.split("/")[0] in names)
        for number in copies.numbers(place)
    }
    with ThreadPoolExecutor(copies.READERS) as readers:
        jobs = [readers.submit(objects.read_part, u, at, at + copies.SIZE) for u, at in pieces]
    assert all(job.result() for job in jobs)
    return time.perf_counter() - start


def read(folder: Path, runs: int) -> list[Row]:
    """Measure reading of all arrays, and of the maps alone, against local reading.

    The first time, from the copies, and the requests alone.
    """
    local, remote = write_maps(folder / "maps.zarr"), address("maps.zarr")
    write_maps(remote)
    shutil.rmtree(remote)
    found = []
    for what, names in (("all arrays", None), ("maps", ("sample_id", "clean", "adversarial"))):
        times: dict[str, list[float]] = {"local": [], "first": [], "again": [], "requests": []}
        for _ in range(runs + 1):
            times["local"].append(seconds(local, names))
            forget(remote)
            times["first"].append(seconds(remote, names))
            times["again"].append(seconds(remote, names))
            times["requests"].append(bare(remote, names))
        rates = {name: MAPS / statistics.median(values[1:]) for name, values in times.items()}
        for name, target in TIMES.items():
            ratio = rates[name] / rates["local"]
            job = f"read {MAPS} pairs from S3, {what}, {name}"
            found.append(Row(job, rates[name], rates["local"], "pairs/s", ratio, target))
    return found


def write(folder: Path, runs: int) -> list[Row]:
    """Measure `explain` of a small ResNet with its output here and in S3, in turn."""
    model = folder / "model"
    data = {"data": "digits", "limit": IMAGES, "threads": 1}
    fit = {**data, "model": "smallresnet", "epochs": 1, "limit": 64, "output": model}
    train.run(resolve(TrainConfig, fit, stage="train", environ={}))
    times: dict[str, list[float]] = {"local": [], "remote": []}
    count = 0
    for run in range(runs + 1):
        for name, output in (
            ("local", folder / f"cams-{run}.zarr"),
            ("remote", address(f"cams-{run}.zarr")),
        ):
            given = {**data, "model": str(model), "split": "train", "output": output}
            options = resolve(ExplainConfig, given, stage="explain", environ={})
            start = time.perf_counter()
            count = len(Artifact(explain.run(options).path))
            times[name].append(time.perf_counter() - start)
    rates = {name: count / statistics.median(values[1:]) for name, values in times.items()}
    ratio = rates["remote"] / rates["local"]
    job = f"explain {count} images into S3, one thread"
    return [Row(job, rates["remote"], rates["local"], "images/s", ratio, ">= 0.9")]


if __name__ == "__main__":
    main()
