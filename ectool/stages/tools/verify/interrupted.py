"""What a killed command has left: outputs in parts, not damaged ones."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ectool.artifacts.integrity.problem import Problem
from ectool.artifacts.jobs.writers import SUFFIX, lock_of
from ectool.stages.tools.verify.verdict import Verdict

INTERRUPTED = "a command was interrupted, or is at work; run it again"


def output_of_lock(path: Path) -> Path | None:
    """Return the output that a lock belongs to; None for other paths."""
    is_lock = path.name.endswith(SUFFIX) and path.is_file() and not path.is_symlink()
    return path.with_name(path.name.removesuffix(SUFFIX)) if is_lock else None


def as_interrupted(verdict: Verdict) -> Verdict:
    """Return the verdict on a document or evaluation whose files do not fit together.

    Their files are replaced one by one while a lock lies beside it, or beside its folder, and the
    lock stays if the command is killed. Each single file is written whole: what has changed in the
    document itself is damage in any case.
    """
    path = verdict.path.absolute()
    is_whole = all(problem.part != path.name for problem in verdict.problems)
    places = [one for one in (path, path.parent) if one.name]
    has_lock = any(os.path.lexists(lock_of(one)) for one in places)
    if verdict.state != "damaged" or not is_whole or not has_lock:
        return verdict
    problems = (*verdict.problems, Problem(path.name, INTERRUPTED))
    return replace(verdict, state="incomplete", problems=problems)
