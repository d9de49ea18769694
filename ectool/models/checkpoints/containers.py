"""Containers and prefixes around the weights in files of other programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ectool.errors import InputError, listed
from ectool.models.checkpoints.tensors import StateDict

EMA = "ema"
"""Entry for the exponential moving average of the weights, under any of its usual names."""

CONTAINERS = frozenset(
    ["state_dict", "model_state_dict", "model", "network", "net", "backbone", "module", "weights"]
)
"""Keys of files and names of attributes that contain a whole network, in any nesting."""

_COPIES = re.compile(r"(^|\.)(\w*momentum\w*|target\w*|encoder_k|key_encoder)\.")
"""Prefixes of slowly moving copies, which are not evaluated."""

COUNTER = "num_batches_tracked"
"""Last part of the names of counters, which old files lack and predictions do not use."""


class Selected(NamedTuple):
    """Weights that were found in a file.

    Attributes:
        state: Tensors of one container by their names in the network.
        others: Names of the other tensors of the file.
        prefix: Beginning of their names in the file, which was removed.
        renamed: Names in the file by the names in the network, where they differ otherwise.
    """

    state: StateDict
    others: list[str]
    prefix: str
    renamed: Mapping[str, str] = MappingProxyType({})


def select_weights(
    tensors: StateDict, expected: Iterable[str], entry: str | None, path: Path
) -> Selected:
    """Find the container with most of the weights of a network, and remove it from their names.

    If no container has all of them, but exactly one other beginning of names has, such as the
    attribute of a Lightning module, that is used.

    Args:
        tensors: Result of :func:`~ectool.models.checkpoints.tensors.read_tensors`.
        expected: Names of the network's weights.
        entry: None for the plain weights, :data:`EMA` for their moving average, or the dotted name
            of a container.
        path: The file, for errors.

    Returns:
        All tensors of this container by their names in the network.

    Raises:
        InputError: There is no such entry, or several containers have as many of the weights.
    """
    names = list(expected)
    found = {
        prefix: sum(prefix + name in tensors for name in names)
        for prefix in sorted(_prefixes(tensors, entry), key=len)
    }
    if not found:
        raise InputError(
            f"weights {path}",
            expected=f"an entry {entry!r}",
            got=f"the entries {listed(sorted({name.partition('.')[0] for name in tensors}))}",
            fix="give one of them as --entry, or leave it out for the plain weights",
        )
    best = [prefix for prefix, count in found.items() if count == max(found.values()) > 0]
    if entry != EMA and not (best and _is_complete(best[0], tensors, names)):
        best = complete_prefixes(tensors, names, entry) or best
    if len(best) > 1:
        raise several_sets(best, path)
    best = best or [next(iter(found))]
    return Selected(*inside(tensors, best[0]), best[0])


def inside(tensors: StateDict, prefix: str) -> tuple[StateDict, list[str]]:
    """Return the tensors after a prefix by the rest of their names; and the names of the others."""
    state = {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
    return state, [name for name in tensors if not name.startswith(prefix)]


def several_sets(prefixes: Sequence[str], path: Path) -> InputError:
    """Return the error of a file with several sets of weights."""
    names = ", ".join(prefix.rstrip(".") or "the file" for prefix in prefixes)
    return InputError(
        f"weights {path}",
        expected="one set of weights",
        got=f"{len(prefixes)}: {names}",
        fix="give one of them as --entry",
    )


def complete_prefixes(tensors: StateDict, names: Sequence[str], entry: str | None) -> list[str]:
    """Return the beginnings of names after which all weights of a network follow.

    Args:
        tensors: Tensors of a file by their names.
        names: Names of the network's weights.
        entry: Dotted name that they begin with; None for any. Moving averages are left out, and
            slowly moving copies if there are other weights.

    Returns:
        They end with a dot, except the empty one; the shortest first.
    """
    start = "" if entry is None else f"{entry}."
    anchor = next((name for name in names if not name.endswith(COUNTER)), None)
    if anchor is None:
        return []
    prefixes = {n.removesuffix(anchor) for n in tensors if n == anchor or n.endswith(f".{anchor}")}
    found = [
        prefix
        for prefix in sorted(prefixes, key=lambda prefix: (len(prefix), prefix))
        if prefix.startswith(start)
        and not any(map(_is_average, prefix.removeprefix(start).split(".")))
        and _is_complete(prefix, tensors, names)
    ]
    return [prefix for prefix in found if not _COPIES.search(prefix)] or found


def _is_complete(prefix: str, tensors: StateDict, names: Iterable[str]) -> bool:
    return all(prefix + name in tensors for name in names if not name.endswith(COUNTER))


def _prefixes(names: Iterable[str], entry: str | None) -> set[str]:
    """Return every beginning of a name that consists of the entry and containers."""
    start = "" if entry in (None, EMA) else f"{entry}."
    prefixes = {
        prefix
        for name in names
        if name.startswith(start)
        for prefix in _containers_of(name, start, averages=entry == EMA)
    }
    return {prefix for prefix in prefixes if entry != EMA or _is_average(prefix)}


def _containers_of(name: str, start: str, *, averages: bool) -> Iterator[str]:
    yield start
    for part in name.removeprefix(start).split(".")[:-1]:
        if part not in CONTAINERS and not (averages and _is_average(part)):
            return
        start += f"{part}."
        yield start


def _is_average(name: str) -> bool:
    return EMA in re.split(r"[._]", name.lower())
