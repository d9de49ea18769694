"""Run the tests with the oldest and the newest allowed dependencies, on the both ends of Python.

    python -m tests.matrix
    python -m tests.matrix --versions oldest --python 3.13 --tests tests/unit/artifacts

Oldest are the lower bounds of pyproject.toml, or the next version that has a wheel for this Python;
newest is what the package index has. Each environment (5 GB with torch) is made by uv in
`.venv-matrix/`, and removed after its tests. Prints one table.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.records import ROOT, parser, write

FOLDER = ROOT / ".venv-matrix"
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
PYTHONS = ("3.11", "3.13")
SHOWN = ("torch", "torchvision", "zarr", "h5py", "numpy", "typer", "pydantic")


def direct_versions(versions: str, python: Path) -> list[str]:
    """Return the requirements of the package itself, each with one version."""
    command = ["uv", "pip", "compile", "pyproject.toml", "--no-header", "--no-annotate", "--quiet"]
    command += ["--only-binary", ":all:", "--python", str(python)]
    command += ["--resolution", RESOLUTIONS[versions]]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.match(r"[\w-]+", line)[0].lower() for line in project["dependencies"]}  # type: ignore[index]
    return [line for line in found.splitlines() if line.partition("==")[0] in names]


def make_environment(place: Path, versions: str, python: Path) -> list[str]:
    """Make an environment with the package, its tests and its dependencies; return the latter."""
    direct = direct_versions(versions, python)
    constraints = place.with_suffix(".txt")
    constraints.write_text("\n".join(direct) + "\n", encoding="utf-8")
    install = ["uv", "pip", "install", "--quiet", "--python", str(place)]
    # Newest: extras of the tests may hold a version back; the table shows what was installed.
    pinned = ["-c", str(constraints)] if versions == "oldest" else []
    for command in (
        ["uv", "venv", "--quiet", "--clear", "--python", str(python), str(place)],
        [*install, "-e", ".[test]", *pinned],
        [*install, "--no-deps", "torchattacks"],
    ):
        subprocess.run(command, cwd=ROOT, check=True)
    frozen = ["uv", "pip", "freeze", "--python", str(place)]
    lines = subprocess.run(frozen, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line for line in lines if line.partition("==")[0] in SHOWN]


def run_tests(place: Path, tests: Sequence[str]) -> tuple[int, list[str]]:
    """Run tests in an environment; return their number, and the names of those that failed."""
    report = place.with_suffix(".xml")
    report.unlink(missing_ok=True)
    command = [str(place / "bin/pytest"), "-n", "2", "--dist", "worksteal", f"--junitxml={report}"]
    subprocess.run([*command, "-q", *tests], cwd=ROOT, check=False)
    if not report.exists():
        return 1, ["pytest wrote no report"]
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failed = [
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    return len(cases), failed


def interpreter(version: str) -> Path:
    """Return the Python of a version: of the PATH, of pyenv, or of uv."""
    roots = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*"))
    for root in reversed(roots):
        if root.name.startswith(f"{version}."):
            return root / "bin/python"
    find = ["uv", "python", "find", version]
    found = subprocess.run(find, capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return Path(found.stdout.strip())
    sys.exit(f"Python {version}: expected it on this machine, got none; install it")


def environments(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield versions of dependencies and of Python."""
    for versions in options.versions or RESOLUTIONS:
        for python in options.python or PYTHONS:
            yield versions, python


def main() -> None:
    """Run the tests in every environment and write the record."""
    made = parser(__doc__, name="matrix", count=0)
    made.add_argument("--versions", action="append", choices=RESOLUTIONS)
    made.add_argument("--python", action="append", help="such as 3.13 [3.11 and 3.13]")
    made.add_argument("--tests", nargs="*", default=[], help="paths [the default tests]")
    made.add_argument("--keep", action="store_true", help="keep the environments")
    options = made.parse_args()
    FOLDER.mkdir(exist_ok=True)
    os.environ.setdefault("UV_CACHE_DIR", str(FOLDER / "cache"))
    start, cases, failures, counts = time.monotonic(), 0, list[str](), dict[str, float]()
    for versions, python in environments(options):
        name, place = f"{versions}, Python {python}", FOLDER / f"{versions}-{python}"
        installed = make_environment(place, versions, interpreter(python))
        number, failed = run_tests(place, options.tests)
        title = f"{name}: {', '.join(installed)}"
        counts[f"tests, {title}"], counts[f"failed, {name}"] = number, len(failed)
        cases += number
        failures += [f"{name}: {test}" for test in failed]
        if not options.keep:
            shutil.rmtree(place)
    if not options.keep:
        shutil.rmtree(FOLDER)
    for title, number in counts.items():
        sys.stdout.write(f"{number:6}  {title}\n")
    write(options, failures, cases=cases, seconds=time.monotonic() - start, counts=counts)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
