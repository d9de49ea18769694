"""Jobs in several processes, one thread each, and a line of the log for every finished job."""

from __future__ import annotations

import fcntl
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.study.grid import Job
from benchmarks.study.job import DIGEST, ERROR, read_result, run_job, versions_of
from ectool.errors import EctoolError, InputError
from ectool.stages.run.processes import workers

JOBS_OF_A_PROCESS = 40
"""Processes are replaced after about this many jobs, so that no memory is lost for hours.

Not by `max_tasks_per_child` of the pool, which waits for ever once all its processes have ended.
"""


def run_all(jobs: Sequence[Job], root: Path, *, processes: int, replace: bool, device: str) -> int:
    """Run all jobs that are not finished; return the number that failed.

    Args:
        jobs: Jobs in their order.
        root: Folder of the study; one call at a time.
        processes: Number of processes.
        replace: Compute jobs of other versions of the code again.
        device: Device of all jobs.

    Raises:
        InputError: Another call is at work, or jobs were finished by another version of the code.
    """
    with locked(root):
        left = unfinished(jobs, root, replace=replace)
        _log(f"{len(jobs) - len(left)} of {len(jobs)} jobs are finished, {len(left)} are left")
        if not left:
            return 0
        failed, start = 0, time.monotonic()
        for first in range(0, len(left), processes * JOBS_OF_A_PROCESS):
            some = left[first : first + processes * JOBS_OF_A_PROCESS]
            with workers(processes) as pool:
                tasks = {pool.submit(attempt, job, root, device): job for job in some}
                failed += _watch(tasks, first, len(left), start)
        return failed


def unfinished(jobs: Sequence[Job], root: Path, *, replace: bool) -> list[Job]:
    """Return the jobs without a result of the same options and the same version of the code.

    Raises:
        InputError: Another version of the code finished some, and `replace` is off.
    """
    left, other = list[Job](), list[str]()
    for job in jobs:
        result = read_result(root / job.folder)
        if result is None or result["digest"] != job.digest:
            left.append(job)
        elif result["code"] != versions_of(job):
            left.append(job)
            other.append(f"{job.folder} of commit {result['commit']}")
            if replace:  # without this file, the job begins in a new folder
                (root / job.folder / DIGEST).unlink(missing_ok=True)
    if other and not replace:
        raise InputError(
            str(root),
            expected="results of this version of the code",
            got=f"{len(other)} of another, the first {other[0]}",
            fix="give another --output, or compute them again with --replace",
        )
    return left


def attempt(job: Job, root: Path, device: str = "cpu") -> dict[str, Any]:
    """Run a job in its process; return its result, or its error, which its folder then holds."""
    import torch

    torch.set_num_threads(1)
    file = root / job.folder / ERROR
    try:
        result = run_job(job, root, device)
    except EctoolError as error:
        return _failed(file, str(error))
    except Exception:  # a bug of one objective does not stop the others
        return _failed(file, traceback.format_exc())
    file.unlink(missing_ok=True)
    return result


def _failed(file: Path, error: str) -> dict[str, Any]:
    file.write_text(error, encoding="utf-8")
    return {"error": error}


def _watch(tasks: dict[Future[dict[str, Any]], Job], before: int, total: int, start: float) -> int:
    """Log every job when it ends; return the number of failed ones."""
    failed = 0
    for done, task in enumerate(as_completed(tasks), before + 1):
        job, result = tasks[task], task.result()
        failed += "error" in result
        left = (time.monotonic() - start) / done * (total - done) / 3600
        _log(f"{done}/{total} {job.folder}: {_summary(result)}; left {left:.1f} h")
    return failed


def _summary(result: dict[str, Any]) -> str:
    if "error" in result:
        return f"FAILED: {result['error']}"
    seconds, metrics = result["seconds"], result["metrics"]
    shown = ("accuracy@mixed_rand", "robust@2/255", "energy_inside", "validation_original")
    values = [f"{name} {100 * metrics[name]:.1f}" for name in shown if metrics.get(name)]
    times = f"train {seconds['train']:.0f} s, evaluate {seconds['evaluate']:.0f} s"
    return ", ".join([times, *values])


def _log(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, flush=True)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the folder of a study.

    Raises:
        InputError: Another process holds it.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                str(root),
                expected="one call at a time",
                got="another at work",
                fix="wait for it, or give another --output",
            ) from None
        yield
