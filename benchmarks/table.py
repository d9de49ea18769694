"""Rows of a benchmark's table, paired timing, and the memory of whole processes."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ectool.artifacts.manifest import library_versions


@dataclass(frozen=True)
class Row:
    """One line of the table; `ratio` is ours over the reference, `target` its bound."""

    job: str
    ours: float
    reference: float | None
    unit: str
    ratio: float | None
    target: str


def paired(ours: Callable[[], None], reference: Callable[[], None], runs: int) -> tuple[float, ...]:
    """Return the median seconds of each, run in turn after a warm-up."""
    reference()
    return tuple(_medians((ours, reference), runs, time.perf_counter))


def in_turn(calls: Mapping[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Return the median seconds of several calls in one thread, in turn after a warm-up of each.

    They are the processor time of the thread, which other programs hardly change.
    """
    import torch

    torch.set_num_threads(1)
    for call in calls.values():
        call()
    return dict(zip(calls, _medians(tuple(calls.values()), runs, time.thread_time), strict=True))


def _medians(
    calls: Sequence[Callable[[], object]], runs: int, clock: Callable[[], float]
) -> list[float]:
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(runs):
        for call, column in zip(calls, seconds, strict=True):
            start = clock()
            call()
            column.append(clock() - start)
    return [statistics.median(column) for column in seconds]


MEASURED = """
import sys
from ectool.cli.main import main
try:
    main(sys.argv[1:])
finally:
    # Not ru_maxrss: it starts at what the process that forked this one had in memory.
    status = open("/proc/self/status").read()
    sys.stderr.write(status.split("VmHWM:")[1].split()[0])
"""


def peak_memory() -> float:
    """Return the peak memory of this process in MB; not ru_maxrss, which a fork inherits."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure_process(arguments: list[str]) -> tuple[float, float]:
    """Run a command of ectool; return its seconds and its peak memory in MB."""
    start = time.perf_counter()
    command = [sys.executable, "-c", MEASURED, *arguments, "--quiet"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, int(done.stderr.splitlines()[-1]) / 1024


def run_jobs(jobs: Mapping[str, Callable[[], list[Row]]], only: str) -> list[Row]:
    """Run the jobs whose names begin with `only`; print the rows of each job when it ends."""
    rows: list[Row] = []
    for name, job in jobs.items():
        if name.startswith(only):
            found = job()
            show(found)
            rows += found
    return rows


def report(rows: list[Row], record: Path | None) -> None:
    show(rows)
    save(rows, record)


def show(rows: list[Row]) -> None:
    for row in rows:
        reference = "" if row.reference is None else f"{row.reference:10.2f}"
        ratio = "" if row.ratio is None else f"{row.ratio:6.2f}"
        print(
            f"{row.job:82} {row.ours:10.2f} {reference:>10} {row.unit:9} {ratio:>6} {row.target}",
            flush=True,
        )


def save(rows: list[Row], record: Path | None) -> None:
    if record is None:
        return
    import torch  # not above: parts without it are measured too

    document = {
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "versions": library_versions(),
        "rows": [asdict(row) for row in rows],
    }
    record.write_text(json.dumps(document, indent=1) + "\n")
