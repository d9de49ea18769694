"""Check every method on an accelerator against the CPU, and measure its rates there.

    python -m benchmarks.gpu [--device cuda] [--json PATH] [--tiny]

Takes less than five minutes on a GPU, and needs nothing but this repository and its bench extra;
peers that are not installed are left out. Weights are random. Prints a table of checks, with their
tolerances, and one of rates; writes both, and the machine, as JSON. Exits with 1 if a check fails.
Without an accelerator it says so and exits with 0; `--device cpu` compares the CPU with itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is used first

import torch

from benchmarks.gpu.checks import Check, all_checks
from benchmarks.gpu.rates import Size, jobs
from benchmarks.table import Row, show
from ectool.artifacts.manifest import library_versions

BUDGET = 240
"""Seconds after which no further measurement begins."""
TINY = Size("resnet18", 32, batch=2, runs=1, images=8)
RESULTS = Path(__file__).parent.with_suffix(".json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--batch", type=int, default=Size.batch)
    parser.add_argument("--tiny", action="store_true", help="a small network and few images")
    options = parser.parse_args()
    device = device_of(options.device)
    if device is None:
        print("no accelerator here: nothing is checked or measured")
        return 0
    start = time.perf_counter()
    os.environ.setdefault("ECTOOL_DATA", "/nonexistent")  # no data set is needed
    checks = list(shown(all_checks(device)))
    size = TINY if options.tiny else replace(Size(), batch=options.batch)
    rows, left = measured(jobs(size, device), start)
    seconds = time.perf_counter() - start
    save(options.json, device, checks, rows, left, seconds)
    failed = [check for check in checks if not check.holds]
    print(f"{len(checks)} checks, {len(failed)} failed; {seconds:.0f} s on {name_of(device)}")
    return 1 if failed else 0


def device_of(name: str) -> torch.device | None:
    """Return the device of a name; None if there is no accelerator."""
    if name != "auto":
        return torch.device(name)
    found = torch.accelerator.is_available() and torch.accelerator.current_accelerator()
    return found or None


def name_of(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.processor() or platform.machine()})"


def shown(checks: Iterator[Check]) -> Iterator[Check]:
    """Print each check."""
    for check in checks:
        sign = ">=" if check.at_least else "<="
        verdict = "" if check.holds else "FAILED"
        print(
            f"{check.name:34} {check.what:36} {check.found:10.4g} {sign} {check.bound:g} {verdict}",
            flush=True,
        )
        yield check


def measured(
    measurements: Mapping[str, Callable[[], Iterator[Row]]], start: float
) -> tuple[list[Row], list[str]]:
    """Print the rows of each measurement; return them, and the measurements that were left out."""
    rows: list[Row] = []
    left: list[str] = []
    for name, job in measurements.items():
        if time.perf_counter() - start > BUDGET:
            left.append(name)
            continue
        for row in job():
            show([row])
            rows.append(row)
    if left:
        print(f"left out for lack of time: {', '.join(left)}")
    return rows, left


def save(
    path: Path | None,
    device: torch.device,
    checks: list[Check],
    rows: list[Row],
    left: list[str],
    seconds: float,
) -> None:
    """Write the results; without a path only those of an accelerator."""
    if path is None and device.type == "cpu":
        return
    document = {
        "device": name_of(device),
        "cores": os.cpu_count(),
        "versions": {**library_versions(), "cuda": torch.version.cuda},
        "seconds": round(seconds),
        "checks": [{**asdict(check), "holds": check.holds} for check in checks],
        "rows": [asdict(row) for row in rows],
        "left_out": left,
    }
    (path or RESULTS).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
