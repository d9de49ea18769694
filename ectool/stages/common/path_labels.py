"""Names that tell paths apart: the parts of each path that the others do not share."""

from __future__ import annotations

from collections.abc import Sequence


def distinct_parts(paths: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Return each path without the parts that all paths share at the start and at the end.

    Every path keeps at least one part. Different paths keep different parts.

    Args:
        paths: The parts of each path.
    """
    spare = min(map(len, paths), default=1) - 1
    start = _shared(paths, range(spare))
    end = _shared(paths, range(-1, start - spare - 1, -1))
    return [parts[start : len(parts) - end] for parts in paths]


def _shared(paths: Sequence[Sequence[str]], positions: range) -> int:
    """Count at how many of the positions, from the first on, all paths have the same part."""
    for count, position in enumerate(positions):
        if len({parts[position] for parts in paths}) > 1:
            return count
    return len(positions)
