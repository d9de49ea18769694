"""Names of the dimensions of the arrays in an HDF5 file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py

from ectool.artifacts.integrity.problem import Problem
from ectool.artifacts.schema import ArrayInfo, spec_of


def hdf5_problems(path: Path, kind: str, arrays: Mapping[str, ArrayInfo]) -> list[Problem]:
    """Return the arrays whose dimensions have other names than those of the schema."""
    found = []
    with h5py.File(path, "r") as file:
        for name in sorted(arrays):
            spec = spec_of(kind, name)
            wanted = None if spec is None else spec.dims_of(len(arrays[name].shape))
            labels = tuple(dim.label for dim in file[name].dims)
            if labels != wanted:
                found.append(Problem(f"`{name}`", f"its dimensions are called {labels}"))
    return found
