"""Outcomes of artifacts, with the findings of their manifests; repeated findings as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from ectool.stages.common.findings import findings_of
from ectool.types import Finding, Outcome


def outcome_of(path: Path, *, is_new: bool) -> Outcome:
    """Return the outcome of the stage that an artifact belongs to.

    Args:
        path: A finished artifact.
        is_new: Whether any of it was computed.
    """
    return Outcome(path, is_new, tuple(findings_of(path)))


def gathered(findings: Iterable[Finding], root: Path) -> tuple[Finding, ...]:
    """Return one finding for each name: the finding itself, or where it occurs.

    Args:
        findings: Findings of an experiment, in any number.
        root: Its folder, which contains the artifacts: `SEED/ARM/ROUND/FILE`.
    """
    by_name: dict[str, dict[Finding, None]] = {}
    for finding in findings:
        by_name.setdefault(finding.name, {})[finding] = None
    return tuple(_as_one(list(found), root) for found in by_name.values())


def _as_one(found: list[Finding], root: Path) -> Finding:
    first = found[0]
    if len(found) == 1:
        return first
    folders = dict.fromkeys(finding.path.relative_to(root).parent for finding in found)
    places = ", ".join(
        _place(arm, [folder.name for folder in own])
        for arm, own in groupby(sorted(folders, key=_order), key=lambda folder: folder.parent)
    )
    count = f"{len(folders)} place" + ("s" if len(folders) > 1 else "")
    text = f"{first.title} in {count} ({places}); the first: {first.text}"
    return Finding(first.name, root, text, first.title)


def _order(folder: Path) -> tuple[Path, bool, int, str]:
    number = folder.name.isdecimal()
    return folder.parent, not number, int(folder.name) if number else 0, folder.name


def _place(arm: Path, names: list[str]) -> str:
    """Return the rounds of an arm, and other folders, e.g. `seed-0/ec 1-4, 6, eval`."""
    rounds = [int(name) for name in names if name.isdecimal()]
    others = [name for name in names if not name.isdecimal()]
    listed = ", ".join([*_ranges(rounds), *others])
    return listed if arm == Path() else f"{arm} {listed}"


def _ranges(numbers: list[int]) -> Iterator[str]:
    """Yield numbers in order, those without a gap as `FIRST-LAST`."""
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        own = [number for _, number in run]
        yield str(own[0]) if len(own) == 1 else f"{own[0]}-{own[-1]}"
