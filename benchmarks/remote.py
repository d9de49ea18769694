"""Measure reading and writing of artifacts in an S3 server on this machine, against local ones.

    python -m benchmarks.remote [--runs N] [--only JOB] [--server COMMAND] [--record FILE]

About two minutes. The server is moto's, or that of a command in which {port} and {folder} are
replaced; it shares the cores. `raw` is a client without ectool and s3fs: the same bytes in the
same requests, as many at a time, on connections that are kept. Rows of processors are the time
on processors, which other programs change less than the speed. Prints a table; without --only
also writes the record. Needs `ectool[s3]` and `moto[server]`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import urllib3

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
TIMES = {"first": ">= 0.5", "again": "", "requests": "", "raw": ""}
"""Bounds of the first reading, of that from the copies, of the requests alone, and without us."""
MOTO = f"{shlex.quote(sys.executable)} -m moto.server -H 127.0.0.1 -p {{port}}"
Times = dict[str, list[tuple[float, float, float]]]
"""Seconds of each run, on processors of this process, and on those of the server."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="", help="read or explain")
    parser.add_argument("--server", default=MOTO, help="command with {port} and {folder}")
    parser.add_argument("--record", type=Path, default=HERE / "remote.json")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder,
        server(Path(folder), options.server) as pid,
    ):
        jobs: dict[str, Callable[[Path, int, int], list[Row]]] = {"read": read, "explain": write}
        rows = [
            row
            for name, job in jobs.items()
            if name.startswith(options.only)
            for row in job(Path(folder), options.runs, pid)
        ]
    report(rows, None if options.only else options.record)


@contextmanager
def server(folder: Path, template: str) -> Iterator[int]:
    """Run an S3 server with an empty bucket, and point this process at it; yield its id."""
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
    stored = folder / "objects"
    stored.mkdir()
    command = [part.format(port=port, folder=stored) for part in shlex.split(template)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        objects._system("s3").mkdir(BUCKET)
        yield process.pid
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
    with growing(path, recipe, length=MAPS, shard_size=SHARD) as unfinished:
        for number, (start, stop) in enumerate(unfinished.ranges):
            rows = np.arange(start, stop)
            ids = np.array([f"map/{row:06d}" for row in rows], dtype=np.dtypes.StringDType())
            arrays = {"sample_id": ids, "label": rows % CLASSES, "target": rows % CLASSES}
            for name in ("clean", "adversarial"):
                arrays[name] = generator.random((len(rows), 7, 7)).astype(np.float16)
                logits = generator.normal(size=(len(rows), CLASSES))
                arrays[f"logits_{name}"] = logits.astype(np.float32)
            unfinished.write(number, arrays, {})
        return unfinished.publish()


def forget(path: Path) -> None:
    """Forget an artifact, and remove its copies, as on another machine."""
    reading._mirrored.clear()
    reading._looked.clear()
    if path.is_symlink():
        path.unlink()
    shutil.rmtree(urls.cache_folder() / "artifacts", ignore_errors=True)


def server_seconds(pid: int) -> float:
    """Return the time that a process and its threads have spent on processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(job: Callable[[], object], pid: int) -> tuple[float, float, float]:
    """Return the seconds of a job, on processors of this process, and on those of the server."""
    before = time.perf_counter(), time.process_time(), server_seconds(pid)
    job()
    wall, own, other = before
    return time.perf_counter() - wall, time.process_time() - own, server_seconds(pid) - other


def read_artifact(path: Path, names: tuple[str, ...] | None) -> None:
    """Open an artifact, and read and compare arrays."""
    with Artifact(path, "heatmaps") as artifact:
        rows = sum(len(arrays["sample_id"]) for _, arrays in artifact.iterate(names))
    assert rows == MAPS


def pieces(path: Path, names: tuple[str, ...] | None) -> set[tuple[str, int]]:
    """Return address and first byte of each piece that a reader needs."""
    url = urls.url_of(path) or ""
    found = index.parse(objects.read(f"{url}/{index.NAME}") or b"", url)
    return {
        (f"{url}/{place.name}", number * copies.SIZE)
        for name, place in found.files.items()
        if isinstance(place, Span) and (names is None or name.split("/")[0] in names)
        for number in copies.numbers(place)
    }


def bare(path: Path, names: tuple[str, ...] | None) -> None:
    """Make the same requests, and use no answer: a limit of any reader with s3fs."""
    with ThreadPoolExecutor(copies.READERS) as readers:
        jobs = [
            readers.submit(objects.read_part, url, at, at + copies.SIZE)
            for url, at in pieces(path, names)
        ]
    assert all(job.result() for job in jobs)


def signed_address(url: str) -> str:
    """Return an address that needs no header; s3fs signs as servers no longer accept."""
    from botocore.config import Config
    from botocore.session import Session

    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    client = Session().create_client("s3", config=config)
    key = url.removeprefix(f"s3://{BUCKET}/")
    address: str = client.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key})
    return address


def raw(wanted: Sequence[tuple[str, int]], pool: urllib3.PoolManager) -> int:
    """Make the same requests of signed addresses by urllib3; return the number of bytes."""

    def get(url: str, at: int) -> int:
        answer = pool.request("GET", url, headers={"Range": f"bytes={at}-{at + copies.SIZE - 1}"})
        assert answer.status in {200, 206}, answer.status
        return len(answer.data)

    with ThreadPoolExecutor(copies.READERS) as readers:
        return sum(readers.map(get, *zip(*wanted, strict=True)))


def read(folder: Path, runs: int, pid: int) -> list[Row]:
    """Measure reading of all arrays, and of the maps alone, against local reading.

    The first time, from the copies, the requests alone, and those of a client without ectool.
    """
    local, remote = write_maps(folder / "maps.zarr"), address("maps.zarr")
    write_maps(remote)
    shutil.rmtree(remote)
    found = []
    for what, names in (("all arrays", None), ("maps", ("sample_id", "clean", "adversarial"))):
        signed = [(signed_address(url), at) for url, at in pieces(remote, names)]
        pool = urllib3.PoolManager(maxsize=copies.READERS)
        jobs: dict[str, Callable[[], object]] = {
            "local": partial(read_artifact, local, names),
            "first": partial(read_artifact, remote, names),
            "again": partial(read_artifact, remote, names),
            "requests": partial(bare, remote, names),
            "raw": partial(raw, signed, pool),
        }
        times: Times = {name: [] for name in jobs}
        for _ in range(runs + 1):
            forget(remote)
            for name, job in jobs.items():
                times[name].append(timed(job, pid))
        megabytes = raw(signed, pool) / 1e6
        title = f"read {MAPS} pairs from S3, {what}"
        found.append(Row(f"{title}: {len(signed)} requests", megabytes, None, "MB", None, ""))
        found += rows_of(title, MAPS, "pairs/s", times, TIMES)
    return found


def rows_of(title: str, count: int, unit: str, times: Times, targets: dict[str, str]) -> list[Row]:
    """Return rates against the local ones, and milliseconds on processors, here and there."""
    medians = {
        name: tuple(statistics.median(column) for column in zip(*runs[1:], strict=True))
        for name, runs in times.items()
    }
    wall, own, _ = medians["local"]
    rows = []
    for name, target in targets.items():
        ours, busy, other = medians[name]
        job = f"{title}, {name}"
        rows.append(Row(job, count / ours, count / wall, unit, wall / ours, target))
        rows.append(Row(f"{job}: processors", 1e3 * busy, 1e3 * own, "ms", None, ""))
        rows.append(Row(f"{job}: processors of the server", 1e3 * other, None, "ms", None, ""))
    return rows


def explain_and_open(options: ExplainConfig) -> None:
    """Compute heatmaps, and open their artifact."""
    Artifact(explain.run(options).path)


def write(folder: Path, runs: int, pid: int) -> list[Row]:
    """Measure `explain` of a small ResNet with its output here and in S3, in turn."""
    model = folder / "model"
    data = {"data": "digits", "limit": IMAGES, "threads": 1}
    fit = {**data, "model": "smallresnet", "epochs": 1, "limit": 64, "output": model}
    train.run(resolve(TrainConfig, fit, stage="train", environ={}))
    times: Times = {"local": [], "remote": []}
    count = 0
    for run in range(runs + 1):
        for name, output in (
            ("local", folder / f"cams-{run}.zarr"),
            ("remote", address(f"cams-{run}.zarr")),
        ):
            given = {**data, "model": str(model), "split": "train", "output": output}
            options = resolve(ExplainConfig, given, stage="explain", environ={})
            times[name].append(timed(partial(explain_and_open, options), pid))
            count = len(Artifact(output))
    title = f"explain {count} images into S3, one thread"
    return rows_of(title, count, "images/s", times, {"remote": ">= 0.9"})


if __name__ == "__main__":
    main()
