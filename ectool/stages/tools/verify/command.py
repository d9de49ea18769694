"""`verify`: walk over paths, compare everything with its digests, and tell what is damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ectool.artifacts.files import unfinished_of
from ectool.artifacts.integrity.problem import Problem
from ectool.config import VerifyConfig
from ectool.errors import EctoolError, InputError, IntegrityError, listed
from ectool.stages.tools.verify.repair import Repairs
from ectool.stages.tools.verify.verdict import (
    BAD,
    FILE,
    STATES,
    Verdict,
    with_missing_manifests,
)
from ectool.stages.tools.verify.walk import walk
from ectool.types import SILENT, Reporter, Summary


def run(config: VerifyConfig, reporter: Reporter = SILENT) -> Summary:
    """Compare everything at some paths with its digests.

    With `repair`, what is damaged is repaired where that is possible, and compared again.

    Returns:
        A table of the kinds and states; as JSON `summary`, `artifacts` and `repairs`.

    Raises:
        InputError: A path is missing, or holds nothing of ectool.
        IntegrityError: Something is damaged or incomplete; the error holds the same summary.
    """
    verdicts, repairs = _verdicts(config, reporter, {}), dict[str, str]()
    while config.repair and (new := _bad(verdicts, repairs)):
        repairs |= _repair(new, Repairs.of(verdicts), reporter)
        verdicts = _verdicts(config, reporter, repairs)
    for verdict in verdicts:
        if verdict.state in BAD:
            problems = listed([str(problem) for problem in verdict.problems])
            reporter.warn(f"{verdict.path}: {verdict.state}: {problems}")
    summary = Summary((_table(verdicts),), _document(verdicts, repairs), text="")
    if any(verdict.state in BAD for verdict in verdicts):
        error = _error(verdicts)
        error.result = summary
        raise error
    return summary


def _verdicts(
    config: VerifyConfig, reporter: Reporter, repairs: Mapping[str, str]
) -> list[Verdict]:
    """Return the verdicts on everything at all paths, some of which a repair may have emptied."""
    found = list[Verdict]()
    for path in config.paths:
        if str(path) in repairs and not path.exists():
            problem = Problem(path.name, "has to be computed again")
            found.append(Verdict(path, "arrays", "incomplete", (problem,)))
        else:
            found += _of_path(path, reporter)
    return list(with_missing_manifests(found))


def _bad(verdicts: Sequence[Verdict], repairs: Mapping[str, str]) -> list[Verdict]:
    """Return what is damaged or incomplete and was not there before the last repair."""
    return [one for one in verdicts if one.state in BAD and str(one.path) not in repairs]


def _repair(bad: Sequence[Verdict], repairs: Repairs, reporter: Reporter) -> dict[str, str]:
    """Repair what is damaged; parts before the wholes that they belong to."""
    done = dict[str, str]()
    for verdict in sorted(bad, key=lambda one: -len(one.path.parts)):
        try:
            text = repairs.repair(verdict)
        except EctoolError as error:  # another process writes it, for example
            text = f"not repaired: {error}"
        done[str(verdict.path)] = text
        reporter.note(f"{verdict.path}: {text}")
    return done


def _of_path(path: Path, reporter: Reporter) -> list[Verdict]:
    """Return the verdicts on everything at a path.

    Raises:
        InputError: It is missing, or holds nothing of ectool.
    """
    places, found = list(walk(path)) if path.exists() else [], list[Verdict]()
    if all(place.path != path for place in places):  # nothing in it tells whether it is complete
        beside = unfinished_of(path if path.name else path.absolute())
        places += [place for one in beside for place in walk(one)]
    with reporter.task(f"verify {path.name}", len(places)) as advance:
        for place in places:
            found.append(place.judge(place.path))
            advance(1)
    if all(verdict.kind == FILE for verdict in found):
        raise InputError(
            str(path),
            expected="something that ectool has written",
            got="nothing of it" if path.exists() else "no such file or folder",
            fix="check the path",
        )
    return found


def _table(verdicts: Sequence[Verdict]) -> Mapping[str, Mapping[str, object]]:
    """Return the number of each kind in each state."""
    kinds = dict.fromkeys(sorted(verdict.kind for verdict in verdicts))
    counts = Counter((verdict.kind, verdict.state) for verdict in verdicts)
    return {kind: {state: counts[kind, state] or None for state in STATES} for kind in kinds}


def _document(verdicts: Sequence[Verdict], repairs: Mapping[str, str]) -> dict[str, Any]:
    counts = Counter(verdict.state for verdict in verdicts)
    return {
        "summary": {state: counts[state] for state in STATES},
        "artifacts": [verdict.entry() for verdict in verdicts],
        "repairs": dict(repairs),
    }


def _error(verdicts: Sequence[Verdict]) -> IntegrityError:
    bad = [verdict for verdict in verdicts if verdict.state in BAD]
    counts = Counter(verdict.state for verdict in bad)
    return IntegrityError(
        str(bad[0].path),
        expected=f"{len(verdicts)} files and artifacts as they were written",
        got=", ".join(f"{counts[state]} {state}" for state in BAD if counts[state]),
        fix="repair with `ectool verify --repair`, which names the commands for the rest",
    )
