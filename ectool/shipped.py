"""Experiment and study files that come with ectool, found by their names."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path

FOLDER = "pipelines"
SUFFIX = ".toml"
NEAR = 0.6
"""Minimum similarity (ratio of difflib) of a misspelt name to that of a file."""


def folder() -> Path:
    """Return the folder of the files: inside the installed package, or next to it in a checkout."""
    package = Path(str(resources.files("ectool")))
    inside = package / FOLDER
    return inside if inside.is_dir() else package.parent / FOLDER


def names(table: str | None = None) -> list[str]:
    """Return the names of the files, sorted.

    Args:
        table: Table that a file must hold, such as `experiment`; None for all files.
    """
    files = sorted(folder().glob(f"*{SUFFIX}"))
    if table is not None:
        header = f"[{table}]"
        files = [file for file in files if header in file.read_text("utf-8").splitlines()]
    return [file.stem for file in files]


def find(path: Path) -> Path:
    """Return the path of a file that comes with ectool for its name, and any other path unchanged.

    A file of that name in the working folder is preferred.
    """
    own = folder() / f"{path.name}{SUFFIX}"
    is_name = path == Path(path.name) and own.is_file()
    return own if is_name and (path.is_dir() or not path.exists()) else path


def hint(path: Path) -> str:
    """Return what to do about a path or name of which no file exists."""
    near = difflib.get_close_matches(path.stem.lower(), names(), n=1, cutoff=NEAR)
    return f"write `{near[0]}` for the file that comes with ectool" if near else "check the path"
