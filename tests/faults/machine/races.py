"""Two writers of one output that start at the same moment."""

from __future__ import annotations

import random
import re

from tests.faults.machine.bench import Bench, Done

RACED = (
    "score",
    "score to HDF5",
    "convert",
    "convert to Zarr",
    "adopt",
    "report",
    "merge",
    "materialize",
    "perturb",
    "explain",
    "train",
    "evaluate",
)
"""Raced commands; the fast ones more often."""
FAST = 7
TOLD = re.compile(r"error: .*expected one process writing it, got process (\d+) on ")


def race(bench: Bench, choose: random.Random) -> list[str]:
    """Let two processes write one output; return what is wrong, one line each."""
    name = choose.choice(RACED[:FAST] if choose.random() < 0.9 else RACED)
    folder = bench.folder()
    bench.prepare(name, folder)
    argv = bench.argv(name, folder)
    with bench.started(argv) as (first, log), bench.started(argv) as (second, other):
        pids = first.pid, second.pid
        codes = first.wait(), second.wait()
    ends = [
        Done(code, one.read_text(errors="replace"))
        for code, one in zip(codes, (log, other), strict=True)
    ]
    found = [f"{name}: {one}" for one in _misfits(ends, pids)]
    return found + [f"{name}: {one}" for one in bench.finishes(name, folder)]


def _misfits(ends: list[Done], pids: tuple[int, int]) -> list[str]:
    found = []
    if not any(end.code == 0 for end in ends):
        found.append("nobody has published")
    for number, end in enumerate(ends):
        found += end.faults({4})
        told = TOLD.search(end.text)
        if end.code == 4 and (told is None or int(told[1]) != pids[1 - number]):
            found.append(f"does not name process {pids[1 - number]}: {end.text[-200:]}")
    return found
