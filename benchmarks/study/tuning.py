"""The choice of one setting per arm, on validation images without labels of backgrounds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.study.grid import Grid, Job
from benchmarks.study.job import read_error, read_result
from ectool.errors import InputError

ACCURACY, MEASURE, ORACLE = (
    "validation_original",
    "explanation_consistency",
    "validation_mixed_rand",
)
CRITERION = (
    f"mean of {ACCURACY} (the biased validation images) and {MEASURE} on the same images, averaged "
    "over cells and seeds; the first setting of equal ones"
)
Candidate = dict[str, Any]


def choose(grid: Grid, root: Path) -> dict[str, Any]:
    """Return the chosen setting of every arm, with the numbers of all settings.

    Raises:
        InputError: A job of the grid is not finished, or jobs are of several versions of the code.
    """
    results = {(job.arm, job.folder): _finished(job, root) for job in grid.jobs()}
    shared = {result["code"]["shared"] for result in results.values() if "code" in result}
    if len(shared) > 1:
        raise InputError(
            str(root), expected="one version of the code", got=str(sorted(shared)), fix="run again"
        )
    arms = {name: _choice(name, row["settings"], results) for name, row in grid.arms.items()}
    one = next(result for result in results.values() if "code" in result)
    return {
        "criterion": CRITERION,
        "commit": one["commit"],
        "code": one["code"]["shared"],
        "seeds": sorted({job.seed for job in grid.jobs()}),
        "arms": arms,
    }


def _finished(job: Job, root: Path) -> dict[str, Any]:
    """Return the result of a job; of a failed one, such as a diverged training, no numbers."""
    result = read_result(root / job.folder)
    if result is None and read_error(root / job.folder):
        return {"metrics": {}, "seconds": {"train": 0.0}}
    if result is None or result["digest"] != job.digest:
        raise InputError(
            str(root / job.folder),
            expected="a finished job of these options",
            got="none" if result is None else "one of other options",
            fix="run the grid of the tuning to its end",
        )
    return result


def _choice(
    name: str, settings: Sequence[Any], results: Mapping[tuple[str, Path], dict[str, Any]]
) -> dict[str, Any]:
    """Return the best setting of an arm by the criterion, and the best by the oracle."""
    candidates = [
        _candidate(setting, [r for (arm, _), r in results.items() if arm == f"{name}-{number}"])
        for number, setting in enumerate(settings)
    ]
    best = max(candidates, key=lambda one: one["criterion"])
    oracle = max(candidates, key=lambda one: one[ORACLE])
    return {
        "setting": best["setting"],
        "oracle": oracle["setting"],
        "lost_to_oracle": round(oracle[ORACLE] - best[ORACLE], 4),
        "candidates": candidates,
    }


def _candidate(setting: Any, results: Sequence[dict[str, Any]]) -> Candidate:
    """Return a setting with its means over seeds."""
    values = [result["metrics"] for result in results]
    means = {name: _mean(values, name) for name in (ACCURACY, MEASURE, ORACLE)}
    criterion = round((means[ACCURACY] + means[MEASURE]) / 2, 5)
    seconds = round(float(np.mean([result["seconds"]["train"] for result in results])), 1)
    return {"setting": setting, "criterion": criterion, **means, "seconds": seconds}


def _mean(values: Sequence[Mapping[str, float | None]], name: str) -> float:
    """Return the mean over seeds; an undefined value, or a failed training, counts as 0."""
    return round(float(np.mean([one.get(name) or 0.0 for one in values])), 5)


INNERMOST = re.compile(r"\{[^{}]*\}")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document with one line for each innermost table."""
    text = json.dumps(document, indent=1)
    text = INNERMOST.sub(lambda at: " ".join(at[0].split()), text)
    path.write_text(text + "\n", encoding="utf-8")
