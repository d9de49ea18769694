"""The arrays of an HDF5 file, through links inside it as well, and its unreadable objects."""

from __future__ import annotations

from typing import Any, NamedTuple

import h5py

from ectool.artifacts.guard.hdf5_arrays import described

MAX_OBJECTS, MAX_DEPTH, MAX_LINKS = 10_000, 32, 16
"""Maximum number of objects of a file, of groups in each other, and of links in a row."""


class ManyError(Exception):
    """A file has too many objects, or too many groups in each other."""


class Nodes(NamedTuple):
    """Arrays of numbers or text, described, and the reasons why others are unreadable, by path."""

    arrays: dict[str, dict[str, Any]]
    unreadable: dict[str, str]
    seen: list[str]


def nodes_of(file: h5py.File, size: int) -> Nodes:
    """Describe every array of a file by its path; follow links inside it, and no others.

    Args:
        file: The file.
        size: Its length in bytes.

    Raises:
        ManyError: It has too many objects.
    """
    nodes = Nodes({}, {}, [])
    _walk(file, "", nodes, [], size)
    return nodes


def _walk(group: h5py.Group, prefix: str, nodes: Nodes, above: list[h5py.Group], size: int) -> None:
    """Collect the arrays of a group; `above` are its parents, to which a link may lead back."""
    if len(above) > MAX_DEPTH:
        raise ManyError(f"more than {MAX_DEPTH} groups in each other")
    for name in group:
        path = prefix + name
        nodes.seen.append(path)
        if len(nodes.seen) > MAX_OBJECTS:
            raise ManyError(f"more than {MAX_OBJECTS} objects")
        try:
            node = _follow(group, name, MAX_LINKS)
            if isinstance(node, h5py.Dataset):
                nodes.arrays[path] = described(path, node, size)
            elif isinstance(node, h5py.Group) and node not in [*above, group]:
                _walk(node, path + "/", nodes, [*above, group], size)
        except (KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            nodes.unreadable[path] = (str(error).strip("\"'") or type(error).__name__).splitlines()[
                0
            ]


def _follow(group: h5py.Group, name: str, links: int) -> Any:  # noqa: ANN401 (an object of h5py)
    """Return an object by its name; refuse a link to another file.

    Raises:
        OSError: The link leads out of the file, or round in a circle.
        KeyError: It leads to nothing.
    """
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        raise OSError("a link to another file, which is not followed")
    if isinstance(link, h5py.HardLink):
        return group[name]
    if link is None:
        raise KeyError("a link to nothing")
    if links == 0:
        raise OSError("a link that leads to too many links")
    place = group.file["/"] if link.path.startswith("/") else group
    for part in link.path.split("/"):
        if not isinstance(place, h5py.Group):
            raise KeyError("a link to nothing")
        place = _follow(place, part, links - 1) if part not in ("", ".") else place
    return place
