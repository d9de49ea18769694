"""Sources of a report: experiments, evaluations and audits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ectool.artifacts import folder
from ectool.artifacts.manifest import FILE_NAME
from ectool.errors import InputError
from ectool.input_files import real_path
from ectool.reports.evaluation import Evaluation, from_results
from ectool.reports.report import EvaluatedModel, Failure
from ectool.stages.common.layout import EXPERIMENT_FILE
from ectool.stages.common.path_labels import distinct_parts
from ectool.stages.evaluate.results import read_audit, read_results
from ectool.stages.report.provenance import describe_source
from ectool.stages.report.runs import FinishedExperiment, read_experiment


@dataclass
class Sources:
    """Models, failures and experiments of a report.

    Attributes:
        entries: Evaluated models.
        folders: Folder of each evaluation, by the model's name.
        failures: Models that could not be evaluated.
        experiments: Finished experiments.
    """

    entries: list[EvaluatedModel] = field(default_factory=list)
    folders: dict[str, Path] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    experiments: list[FinishedExperiment] = field(default_factory=list)

    def add(self, evaluation: Evaluation, path: Path, group: str | None = None) -> None:
        """Add an evaluated model."""
        source = folder.open_folder(path, "evaluation").recipe.source
        data = describe_source(source) if source else "unknown data"
        self.entries.append(EvaluatedModel(evaluation, group or evaluation.name, data))
        self.folders[evaluation.name] = path


def read_sources(paths: Sequence[Path]) -> Sources:
    """Read the sources in folders.

    Args:
        paths: Folders of experiments, evaluations and audits.

    Raises:
        InputError: A folder is none of these, or not finished.
        IntegrityError: Results have changed since they were written.
    """
    unique = list(dict.fromkeys(real_path(path) for path in paths))
    sources = Sources()
    for path, label in zip(unique, path_labels(unique), strict=True):
        prefix = f"{label}/" if len(unique) > 1 else ""
        if (path / EXPERIMENT_FILE).is_file():
            _add_experiment(sources, path, prefix)
        elif (path / FILE_NAME).is_file():
            sources.add(from_results(label, read_results(path)), path)
        else:
            _add_audit(sources, path, prefix)
    return sources


def _add_experiment(sources: Sources, path: Path, prefix: str) -> None:
    """Add every run of an experiment, arm by arm."""
    experiment = read_experiment(path)
    sources.experiments.append(experiment)
    for arm in experiment.record.arms:
        for run in experiment.runs_of(arm):
            evaluation = replace(run.evaluation, name=f"{prefix}{run.evaluation.name}")
            sources.add(evaluation, run.record.evaluation, f"{prefix}{arm}")


def _add_audit(sources: Sources, path: Path, prefix: str) -> None:
    """Add the evaluated and the failed models of an audit."""
    for model in _read_audit(path):
        name = prefix + model["name"]
        if model["status"] == "ok":
            evaluation = path / model["evaluation"]
            sources.add(from_results(name, read_results(evaluation)), evaluation)
        elif model["status"] == "failed":
            sources.failures.append(Failure(name, str(model["error"])))


def _read_audit(path: Path) -> list[dict[str, Any]]:
    """Return the entry of each model of an audit."""
    models = read_audit(path)
    if models is None:
        raise InputError(
            str(path),
            expected="the folder of a finished experiment, of an evaluation or of an audit",
            got=f"no {EXPERIMENT_FILE} in it" if path.is_dir() else "no such folder",
            fix="check the path, or finish `ectool run` or `ectool evaluate`",
        )
    return models


def path_labels(paths: Sequence[Path]) -> list[str]:
    """Return names that tell paths apart: `run/a/eval` and `run/b/eval` are named a and b.

    Args:
        paths: Absolute paths, all different.
    """
    return ["/".join(parts) for parts in distinct_parts([path.parts for path in paths])]
