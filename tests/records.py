"""Records of the long checks: fuzz, faults, kills, soak, matrix. docs/reliability.md shows them.

    options = parser(__doc__, name="kills", count=200).parse_args()
    ...
    write(options, failures, cases=options.count, seconds=..., counts={"processes killed": 198})

Every record has the same entries: `name`; `command`; `cases`; `failures`, their number, and
`failed`, the first of them in words; `seed`; `seconds`; `counts`, further numbers by what they
count; `table`, rows of text; `date`; `commit`, with `+` behind it if files were changed since;
`versions`; `machine`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "run" / "reliability"
SHOWN = 20
"""Number of failures that a record has in words."""
LIBRARIES = ("torch", "numpy", "zarr", "h5py")


def parser(description: str, *, name: str, count: int) -> argparse.ArgumentParser:
    """Return a parser of `--count`, `--seed` and `--record`; more options can be added."""
    made = argparse.ArgumentParser(prog=f"python -m tests.{name}", description=description)
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.add_argument("--count", type=int, default=count, help=f"number of cases [{count}]")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--record", type=Path, default=FOLDER / f"{name}.json")
    made.set_defaults(name=name)
    return made


def write(
    options: argparse.Namespace,
    failures: Sequence[str],
    *,
    cases: int,
    seconds: float,
    counts: Mapping[str, float] | None = None,
    table: Sequence[Sequence[str]] = (),
) -> None:
    """Write the record that the options name, and print its outcome.

    Args:
        options: `record`, `name` and `seed`, see `parser`.
        failures: What went wrong, one line each.
        cases: How many cases were tried.
        seconds: How long they took.
        counts: Further numbers, by what they count.
        table: Rows of further texts, its head first.
    """
    document: dict[str, Any] = {
        "name": options.name,
        "command": " ".join(["python", "-m", f"tests.{options.name}", *sys.argv[1:]]),
        "cases": cases,
        "failures": len(failures),
        "failed": [line[:500] for line in failures[:SHOWN]],
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "counts": dict(counts or {}),
        "table": [list(row) for row in table],
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "versions": {"python": platform.python_version()} | dict(_versions()),
        "machine": f"{os.cpu_count()} cores, {platform.system()}",
    }
    options.record.parent.mkdir(parents=True, exist_ok=True)
    options.record.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    outcome = f"{options.name}: {cases} cases, {len(failures)} failures, {seconds:.0f} s"
    sys.stdout.write("\n".join([outcome, *document["failed"], ""]))


def _versions() -> Iterator[tuple[str, str]]:
    for library in LIBRARIES:
        with suppress(PackageNotFoundError):
            yield library, version(library)


def commit() -> str:
    """Return the commit of the code, with `+` behind it if files were changed since."""
    described = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    run = subprocess.run(described, cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"
