"""Names of the dimensions of the arrays in an HDF5 file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py

from ectool.artifacts.guard.child import value_in_child
from ectool.artifacts.integrity.problem import Problem
from ectool.artifacts.schema import ArrayInfo, spec_of


def hdf5_problems(path: Path, kind: str, arrays: Mapping[str, ArrayInfo]) -> list[Problem]:
    """Return the arrays whose dimensions have other names than those of the schema."""
    found = []
    for name, labels in value_in_child(lambda: _labels(path, arrays)).items():
        spec = spec_of(kind, name)
        wanted = None if spec is None else spec.dims_of(len(arrays[name].shape))
        if tuple(labels) != wanted:
            found.append(Problem(f"`{name}`", f"its dimensions are called {tuple(labels)}"))
    return found


def _labels(path: Path, names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of the dimensions of arrays; run in a child, see `guard.child`."""
    with h5py.File(path, "r") as file:
        return {name: [dim.label for dim in file[name].dims] for name in sorted(names)}
