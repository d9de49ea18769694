"""Run the default tests with the oldest and the newest dependencies, on both ends of Python.

    python -m tests.matrix                  all four; the same command goes on where it was stopped
    python -m tests.matrix --versions oldest --python 3.13 --tests tests/unit/artifacts

Oldest are the lower bounds of pyproject.toml, or the next version that has a wheel for this Python;
newest is what the package index has. uv makes each environment (5 GB with torch) in `run/matrix/`;
it is removed after its tests. The tests run in parts; a part that passed is not run again unless
its versions change, or with `--again`. Prints one table.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.records import ROOT, commit, parser, write

FOLDER = ROOT / "run" / "matrix"
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
PYTHONS = ("3.11", "3.13")
SHOWN = ("torch", "torchvision", "zarr", "h5py", "numpy", "typer", "pydantic")
FILES_OF_A_PART = 48
"""Files of tests that one call of pytest gets: minutes, and few starts of torch."""
HEAD = (
    "dependencies",
    "Python",
    "versions",
    "passed",
    "failed",
    "skipped",
    "seconds",
    "parts",
    "commits",
)


@dataclass(frozen=True)
class Part:
    """What a part of the tests gave in one environment."""

    passed: int
    skipped: int
    failed: list[str]
    seconds: float
    commit: str


@dataclass(frozen=True)
class Cell:
    """The tests with one choice of dependencies, on one Python."""

    versions: str
    python: str

    @property
    def place(self) -> Path:
        """The environment. Beside it is uv's cache: most of it is linked by both Pythons."""
        return FOLDER / self.versions / self.python


def direct_versions(versions: str, python: Path) -> list[str]:
    """Return the requirements of the package itself, each with one version."""
    command = ["uv", "pip", "compile", "pyproject.toml", "--no-header", "--no-annotate", "--quiet"]
    command += ["--only-binary", ":all:", "--python", str(python)]
    command += ["--resolution", RESOLUTIONS[versions]]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.match(r"[\w-]+", line)[0].lower() for line in project["dependencies"]}  # type: ignore[index]
    return [line for line in found.splitlines() if line.partition("==")[0] in names]


def make_environment(cell: Cell, direct: Sequence[str]) -> None:
    """Make an environment with the package, its tests and its dependencies, unless it is there."""
    python, made = interpreter(cell.python), cell.place / "made.txt"
    text = "\n".join(direct) + "\n"
    if made.exists() and made.read_text() == text:
        return
    pinned = cell.place.with_name(f"{cell.python}.txt")
    pinned.parent.mkdir(parents=True, exist_ok=True)
    pinned.write_text(text, encoding="utf-8")
    install = ["uv", "pip", "install", "--quiet", "--python", str(cell.place)]
    # Newest: extras of the tests may hold a version back; the table shows what was installed.
    limits = ["-c", str(pinned)] if cell.versions == "oldest" else []
    for command in (
        ["uv", "venv", "--quiet", "--clear", "--python", str(python), str(cell.place)],
        [*install, "-e", ".[test]", *limits],
        [*install, "--no-deps", "torchattacks"],
    ):
        subprocess.run(command, cwd=ROOT, check=True)
    pinned.rename(made)


def installed(place: Path) -> list[str]:
    """Return the versions of Python and of everything in an environment."""
    python = [str(place / "bin/python"), "--version"]
    frozen = ["uv", "pip", "freeze", "--exclude-editable", "--python", str(place)]
    found = [subprocess.check_output(command, text=True) for command in (python, frozen)]
    return "".join(found).splitlines()


def interpreter(version: str) -> Path:
    """Return the Python of a version: of pyenv, of the PATH, or of uv."""
    roots = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*"))
    for root in reversed(roots):
        if root.name.startswith(f"{version}."):
            return root / "bin/python"
    find = ["uv", "python", "find", "--no-project", version]
    found = subprocess.run(find, capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return Path(found.stdout.strip())
    sys.exit(f"Python {version}: expected it on this machine, got none; install it")


def parts(tests: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the paths of each call of pytest: those that are given, or all, in groups."""
    if tests:
        yield from ((path,) for path in tests)
        return
    group, size = list[str](), 0
    for path, files in _folders(ROOT / "tests"):
        if group and size + files > FILES_OF_A_PART:
            yield tuple(group)
            group, size = [], 0
        group.append(path.relative_to(ROOT).as_posix())
        size += files
    yield tuple(group)


def _folders(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield folders with few files of tests, and the files beside them; with their number."""
    files = len(list(folder.rglob("test_*.py")))
    if 0 < files <= FILES_OF_A_PART:
        yield folder, files
    elif files:
        for inner in sorted(folder.iterdir()):
            if inner.is_dir():
                yield from _folders(inner)
            elif inner.match("test_*.py"):
                yield inner, 1


def run_part(cell: Cell, paths: Sequence[str], workers: int) -> Part:
    """Run tests in an environment."""
    report, programs, start = cell.place.with_suffix(".xml"), cell.place / "bin", time.monotonic()
    report.unlink(missing_ok=True)
    command = [str(programs / "pytest"), "-n", str(workers), "--dist", "worksteal", "-q"]
    command += ["-p", "no:cacheprovider", "--color=no", f"--junitxml={report}", *paths]
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(command, cwd=ROOT, check=False, env=environment)
    seconds = round(time.monotonic() - start, 1)
    if not report.exists():
        return Part(0, 0, [f"{' '.join(paths)}: pytest wrote no report"], seconds, commit())
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failed = [case for case in cases if {"failure", "error"} & {child.tag for child in case}]
    skipped = sum(case.find("skipped") is not None for case in cases)
    names = [f"{case.get('classname')}::{case.get('name')}" for case in failed]
    return Part(len(cases) - len(failed) - skipped, skipped, names, seconds, commit())


class Record:
    """What was installed for a cell, and what its parts gave: in a file, to go on after a stop."""

    def __init__(self, cell: Cell, tests: Sequence[str]) -> None:
        self.cell, self.groups = cell, {" ".join(paths): paths for paths in parts(tests)}
        self.direct = direct_versions(cell.versions, interpreter(cell.python))
        self.path = FOLDER / f"{cell.versions}-{cell.python}.json"
        known = json.loads(self.path.read_text()) if self.path.exists() else {}
        same = known.get("direct") == self.direct
        self.installed: list[str] = known["installed"] if same else []
        self.parts = {name: Part(**part) for name, part in known["parts"].items()} if same else {}

    def run(self, options: argparse.Namespace) -> None:
        """Run the parts that have not passed, until there is no time for another.

        Those that failed before are the last.
        """
        for name in sorted(self.groups, key=lambda name: name in self.parts):
            passed = name in self.parts and not self.parts[name].failed
            if (passed and not options.again) or time.monotonic() > options.until:
                continue
            make_environment(self.cell, self.direct)
            self.installed = installed(self.cell.place)
            self.parts[name] = run_part(self.cell, self.groups[name], options.workers)
            self._write()

    def _write(self) -> None:
        parts = {name: asdict(part) for name, part in self.parts.items()}
        known = {"direct": self.direct, "installed": self.installed, "parts": parts}
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        unfinished.rename(self.path)

    def done(self) -> list[Part]:
        """Return what the parts gave that were run."""
        return [self.parts[name] for name in self.groups if name in self.parts]

    def complete(self) -> bool:
        """Tell whether every part was run."""
        return len(self.done()) == len(self.groups)

    def row(self) -> list[str]:
        """Return the row of the table."""
        done, python = self.done(), (self.installed or [f"Python {self.cell.python}"])[0]
        shown = [line for line in self.installed if line.partition("==")[0] in SHOWN]
        numbers = [sum(part.passed for part in done), sum(len(part.failed) for part in done)]
        numbers += [sum(part.skipped for part in done), round(sum(part.seconds for part in done))]
        texts = [self.cell.versions, python.split()[-1], ", ".join(shown).replace("==", " ")]
        parts = f"{len(done)} of {len(self.groups)}"
        commits = ", ".join(dict.fromkeys(part.commit for part in done))
        return [*texts, *(f"{number:,}" for number in numbers), parts, commits]


def options_of_call() -> argparse.Namespace:
    """Return the options."""
    made = parser(__doc__, name="matrix", count=0)
    made.add_argument("--versions", action="append", choices=RESOLUTIONS, help="[both]")
    made.add_argument("--python", action="append", help="such as 3.13 [3.11 and 3.13]")
    made.add_argument("--tests", nargs="*", default=[], help="paths [the default tests]")
    made.add_argument("--workers", type=int, default=2, help="processes of pytest [2]")
    made.add_argument("--minutes", type=float, default=float("inf"), help="start no part later")
    made.add_argument("--again", action="store_true", help="run also the parts that passed")
    made.add_argument("--keep", action="store_true", help="keep the environments")
    options = made.parse_args()
    options.until = time.monotonic() + 60 * options.minutes
    return options


def main() -> None:
    """Run the tests in every environment and write the record."""
    options, cache = options_of_call(), os.environ.get("UV_CACHE_DIR")
    records = list[Record]()
    for versions in options.versions or RESOLUTIONS:
        os.environ["UV_CACHE_DIR"] = cache or str(FOLDER / versions / "cache")
        for python in options.python or PYTHONS:
            records.append(record := Record(Cell(versions, python), options.tests))
            record.run(options)
            if record.complete() and not options.keep:
                shutil.rmtree(record.cell.place, ignore_errors=True)
        if all(record.complete() for record in records) and not options.keep:
            shutil.rmtree(FOLDER / versions, ignore_errors=True)
    report(options, records)


def report(options: argparse.Namespace, records: Sequence[Record]) -> None:
    """Print the table, write the record, and end with 1 if a test failed or was not run."""
    table = [HEAD, *(record.row() for record in records)]
    sys.stdout.write("".join(" | ".join(row) + "\n" for row in table))
    failures = [
        f"{record.cell.versions}, Python {record.cell.python}: {test}"
        for record in records
        for part in record.done()
        for test in part.failed
    ]
    every = [part for record in records for part in record.done()]
    cases = sum(part.passed + part.skipped + len(part.failed) for part in every)
    seconds = sum(part.seconds for part in every)
    write(options, failures, cases=cases, seconds=seconds, table=table)
    sys.exit(bool(failures) or not all(record.complete() for record in records))


if __name__ == "__main__":
    main()
