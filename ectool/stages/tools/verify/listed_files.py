"""Verdicts on documents of experiments, reports, studies and audits, with the files they list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from ectool.artifacts.integrity.problem import MISSING, Problem
from ectool.artifacts.integrity.sealed_documents import document_problems
from ectool.errors import InputError
from ectool.parsing import read_object
from ectool.stages.common.layout import (
    EXPERIMENT_FILE,
    HEATMAPS,
    RESULTS_FILE,
    SAMPLES,
    WEIGHTS,
    ExperimentRecord,
)
from ectool.stages.tools.verify.interrupted import as_interrupted
from ectool.stages.tools.verify.verdict import Verdict, judged

MODEL = "model"
DOCUMENTS = {
    EXPERIMENT_FILE: "experiment",
    RESULTS_FILE: "audit",
    "report.json": "report",
    "validity.json": "validity",
}
"""Kinds of documents by the names of their files."""


def is_document(path: Path) -> bool:
    """Return whether a file has the name of a document."""
    return path.name in DOCUMENTS and path.is_file() and not path.is_symlink()


def on_document(path: Path) -> Verdict:
    """Return the verdict on a document and the files it lists."""
    kind = DOCUMENTS[path.name]
    problems = document_problems(path)
    if kind == "experiment" and not problems:
        problems = list(_missing(path)) or problems
    return as_interrupted(judged(path, kind, problems))


def _missing(path: Path) -> Iterator[Problem]:
    """Yield the artifacts of an experiment that are not there."""
    try:
        record = ExperimentRecord.model_validate(read_object(path))
    except (ValidationError, InputError):
        return
    for run in record.runs:
        rounds = [one / name for one in run.rounds for name in (SAMPLES, HEATMAPS, WEIGHTS, MODEL)]
        for part in dict.fromkeys((run.model, run.evaluation, *rounds)):
            if not (path.parent / part).exists():
                yield Problem(str(part), MISSING)
