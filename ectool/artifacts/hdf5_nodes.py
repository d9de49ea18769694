"""The arrays of an HDF5 file, through links as well, and its unreadable objects."""

from __future__ import annotations

from typing import NamedTuple

import h5py

from ectool.artifacts.schema import kind_of


class Nodes(NamedTuple):
    """Arrays of numbers or text by their path, and the reasons why others are unreadable."""

    arrays: dict[str, h5py.Dataset]
    unreadable: dict[str, str]


def nodes_of(file: h5py.File) -> Nodes:
    """Return every array of a file by its path; follow links, and visit each group once."""
    nodes = Nodes({}, {})
    _walk(file, "", nodes, [])
    return nodes


def _walk(group: h5py.Group, prefix: str, nodes: Nodes, above: list[h5py.Group]) -> None:
    """Collect the arrays of a group; `above` are its parents, to which a link may lead back."""
    for name in group:
        path = prefix + name
        try:
            node = group[name]
            if isinstance(node, h5py.Dataset):
                _note(path, node, nodes)
            elif isinstance(node, h5py.Group) and node not in [*above, group]:
                _walk(node, path + "/", nodes, [*above, group])
        except (KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            nodes.unreadable[path] = str(error).strip("\"'").splitlines()[0]


def _note(path: str, dataset: h5py.Dataset, nodes: Nodes) -> None:
    """Add a dataset to the arrays, if numpy has a type of numbers or text for it."""
    dtype = dataset.dtype
    kind = kind_of(dtype)
    if dataset.shape is None:
        nodes.unreadable[path] = "no values"
    elif kind not in "bifucT" or (kind == "T" and h5py.check_string_dtype(dtype) is None):
        nodes.unreadable[path] = f"type {_type_name(dataset)}"
    else:
        nodes.arrays[path] = dataset


def _type_name(dataset: h5py.Dataset) -> str:
    """Return HDF5's name of a type that numpy lacks, such as `reference` or `vlen`."""
    name = type(dataset.id.get_type()).__name__
    return name.removeprefix("Type").removesuffix("ID").lower()
