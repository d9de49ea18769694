"""Runs of an experiment: results, histories, rounds, artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ectool.artifacts import folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.integrity.sealed_documents import read_document
from ectool.errors import InputError
from ectool.parsing import first_finding
from ectool.reports.content import History, Round
from ectool.reports.evaluation import Evaluation, from_results
from ectool.reports.training_records import SCORES, summarize_round
from ectool.stages.common.layout import (
    EXPERIMENT_FILE,
    HEATMAPS,
    HISTORY_FILE,
    SAMPLES,
    WEIGHTS,
    ExperimentRecord,
    RunRecord,
    history_of,
)
from ectool.stages.evaluate.results import read_results
from ectool.types import Advance


@dataclass(frozen=True)
class Run:
    """One arm with one seed.

    Attributes:
        record: Paths of its artifacts.
        evaluation: Results of its evaluation.
    """

    record: RunRecord
    evaluation: Evaluation


@dataclass(frozen=True)
class FinishedExperiment:
    """An experiment's folder, its record, and its runs."""

    path: Path
    record: ExperimentRecord
    runs: tuple[Run, ...]

    def runs_of(self, arm: str) -> list[Run]:
        """Return the runs of an arm."""
        return [run for run in self.runs if run.record.arm == arm]


def read_experiment(path: Path) -> FinishedExperiment:
    """Read an experiment's record and the results of its runs.

    Raises:
        InputError: The record is missing or invalid, or an evaluation is missing.
        IntegrityError: Results have changed since they were written.
    """
    record = _read_record(path / EXPERIMENT_FILE)
    runs = tuple(_read_run(run.within(path)) for run in record.runs)
    return FinishedExperiment(path, record, runs)


def _read_run(record: RunRecord) -> Run:
    name = f"{record.arm}, seed {record.seed}"
    return Run(record, from_results(name, read_results(record.evaluation)))


def _read_record(file: Path) -> ExperimentRecord:
    if not file.is_file():
        raise InputError(
            str(file.parent),
            expected="the folder of a finished experiment",
            got=f"no {EXPERIMENT_FILE} in it" if file.parent.is_dir() else "no such folder",
            fix="check the path, or finish `ectool run`",
        )
    try:
        record = ExperimentRecord.model_validate(read_document(file))
    except ValidationError as error:
        raise _invalid(file, first_finding(error)) from None
    unknown = {record.reference, *(run.arm for run in record.runs)} - set(record.arms)
    if unknown:
        raise _invalid(file, f"arm {min(unknown)!r} without an entry in `arms`")
    return record


def _invalid(file: Path, got: str) -> InputError:
    return InputError(
        str(file),
        expected="a record written by `ectool run`",
        got=got,
        fix="run the experiment again; finished artifacts are not computed again",
    )


def read_history(run: RunRecord) -> History:
    """Return the history of training, one entry per epoch.

    Raises:
        InputError: The model is missing.
        IntegrityError: Its history has changed since it was written.
    """
    file = folder.verify_file(run.model / HISTORY_FILE, folder.open_folder(run.model, "model"))
    return history_of(file)


def read_rounds(run: RunRecord, advance: Advance) -> list[Round]:
    """Summarize the weights of every round.

    Raises:
        InputError: A round's weights are missing.
        IntegrityError: They have changed since they were written.
    """
    rounds = []
    for number, path in enumerate(run.rounds, 1):
        with Artifact(path / WEIGHTS, "weights") as weights:
            scores = {array: weights.read(array) for array in SCORES.values()}
            findings = weights.manifest.all_findings() if weights.manifest else {}
        rounds.append(summarize_round(number, scores, findings))
        advance(1)
    return rounds


def artifacts_of(run: RunRecord) -> list[Path]:
    """Return the artifacts of a run; of its rounds, those of the last round."""
    names = (SAMPLES, HEATMAPS, WEIGHTS)
    last = [one / name for one in run.rounds[-1:] for name in names]
    return [run.model, *last, run.evaluation]
