"""Containers and prefixes around the weights in files of other programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ectool.errors import InputError, listed
from ectool.models.checkpoints.tensors import StateDict

EMA = "ema"
"""Entry for the exponential moving average of the weights, under any of its usual names."""

CONTAINERS = frozenset(
    ["state_dict", "model_state_dict", "model", "network", "net", "backbone", "module", "weights"]
)
"""Keys of files and names of attributes that contain a whole network, in any nesting."""


def select_weights(
    tensors: StateDict, expected: Iterable[str], entry: str | None, path: Path
) -> tuple[StateDict, list[str]]:
    """Find the container with most of the weights of a network, and remove it from their names.

    Args:
        tensors: Result of :func:`~ectool.models.checkpoints.tensors.read_tensors`.
        expected: Names of the network's weights.
        entry: None for the plain weights, :data:`EMA` for their moving average, or the dotted name
            of a container.
        path: The file, for errors.

    Returns:
        All tensors of this container by their names in the network; and the names of the others.

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
    best = [prefix for prefix, count in found.items() if count == max(found.values())]
    if len(best) > 1 and max(found.values()) > 0:
        raise InputError(
            f"weights {path}",
            expected="one set of weights",
            got=f"{len(best)}: {', '.join(prefix.rstrip('.') or 'the file' for prefix in best)}",
            fix="give one of them as --entry",
        )
    inside = {name: name.removeprefix(best[0]) for name in tensors if name.startswith(best[0])}
    others = [name for name in tensors if name not in inside]
    return {short: tensors[name] for name, short in inside.items()}, others


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
