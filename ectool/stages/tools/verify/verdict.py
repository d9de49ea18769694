"""Verdicts: whether an artifact or a document is as it was written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ectool.artifacts.integrity.problem import Problem
from ectool.artifacts.manifest import FILE_NAME
from ectool.input_files import real_path

State = Literal["intact", "damaged", "incomplete", "unknown"]
STATES: tuple[State, ...] = ("intact", "damaged", "incomplete", "unknown")
BAD: tuple[State, ...] = ("damaged", "incomplete")
FILE = "file"
"""Kind of a file or folder that is not of ectool."""


@dataclass(frozen=True)
class Verdict:
    """State of an artifact, of a document with its files, or of a file of somebody else.

    Attributes:
        path: Its path.
        kind: Its schema, or `model`, `evaluation`, `experiment`, `report`, ...; `file`.
        state: `incomplete` where a command was interrupted; `unknown` where there is nothing to
            compare with.
        problems: What is damaged, or why the state is another.
        needs: Paths that it was made of, with their ids.
    """

    path: Path
    kind: str
    state: State
    problems: tuple[Problem, ...] = ()
    needs: dict[Path, str] = field(default_factory=dict)

    def entry(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "path": str(self.path),
            "kind": self.kind,
            "state": self.state,
            "problems": [str(problem) for problem in self.problems],
        }


def judged(
    path: Path, kind: str, problems: Iterable[Problem] | None, needs: dict[Path, str] | None = None
) -> Verdict:
    """Return the verdict on a path with its problems; None: there is nothing to compare with."""
    if problems is None:
        return Verdict(path, kind, "unknown", (Problem(path.name, "no digest to compare with"),))
    found = tuple(problems)
    return Verdict(path, kind, "damaged" if found else "intact", found, needs or {})


def with_missing_manifests(verdicts: Sequence[Verdict]) -> Iterable[Verdict]:
    """Yield verdicts; artifacts without a manifest that others were made of are damaged."""
    needed = {real_path(path): one.path for one in verdicts for path in one.needs}
    for verdict in verdicts:
        child = needed.get(real_path(verdict.path))
        if verdict.state == "unknown" and child is not None:
            problem = Problem(FILE_NAME, f"missing, although {child} was made of it")
            yield replace(verdict, state="damaged", problems=(problem,))
        else:
            yield verdict
