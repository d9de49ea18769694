"""The version of the code that computed a number, so that different versions are never mixed.

A version is the digest of sources, not a commit: a change of the documentation is no other version.
The sources that every job uses have one digest. The objective of a job has its own, so that a new
objective may be added while the numbers of the others stay.
"""

from __future__ import annotations

import ast
import hashlib
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import ectool
from ectool.artifacts.hashing import digest_json
from ectool.config.objectives import ObjectiveOptions
from ectool.training.objectives import OBJECTIVES

PACKAGE = Path(ectool.__file__).parent
OWN = PACKAGE / "training" / "objectives"
"""The folder of the objectives; its table names all of them and is part of no version."""
UNUSED = ("api", "cli", "reports", "stages/report", "stages/tools", "config/objectives.py")
"""Sources that no number depends on; `options_version` stands for the options of objectives."""


@cache
def shared_version() -> str:
    """Return the digest of all sources but those of single objectives."""
    skipped = [PACKAGE / name for name in UNUSED]
    names = [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if not any(path.is_relative_to(one) for one in skipped)
        and (path.parent != OWN or path.name == "base.py")
    ]
    return _digest(names)


@cache
def objective_version(objective: str) -> str:
    """Return the digest of the sources of an objective, with those that it imports."""
    made = OBJECTIVES[objective]
    module = getattr(made, "func", made).__module__  # a row may be a partial of its class
    file = OWN / (module.rpartition(".")[2] + ".py")
    return _digest(sorted(_with_imports(file) if file.exists() else OWN.glob("*.py")))


def options_version(train: Mapping[str, Any]) -> str:
    """Return the digest of the options of an objective with their defaults."""
    given = {name: value for name, value in train.items() if name in ObjectiveOptions.model_fields}
    return digest_json(ObjectiveOptions(**given).settings())[:16]


@cache
def commit() -> str:
    """Return the commit of the working tree, for people; `unknown` outside a repository."""
    command = ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _with_imports(path: Path) -> set[Path]:
    """Return a module of the folder of objectives, and those it imports from there."""
    found, left = set[Path](), [path]
    while left:
        at = left.pop()
        if at in found or at.name == "__init__.py":
            continue
        found.add(at)
        left += _imported(at)
    return found


def _imported(path: Path) -> Iterable[Path]:
    """Yield the files of the folder of objectives that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            file = PACKAGE.parent / (node.module.replace(".", "/") + ".py")
            if file.parent == OWN and file.is_file():
                yield file


def _digest(paths: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]
