"""Content of a report: the source of the page, of `report.json`, and of figures and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ectool.reports.content import ExperimentResults, Metric, Sample
from ectool.reports.evaluation import Evaluation


@dataclass(frozen=True)
class EvaluatedModel:
    """An evaluated model: a row of the leaderboard.

    Attributes:
        evaluation: Results; the name is unique in the report.
        group: Name that models share if they differ only in the seed; else the name of the model.
        data: Data set of the evaluation.
    """

    evaluation: Evaluation
    group: str
    data: str

    @property
    def name(self) -> str:
        """Return the name of the model."""
        return self.evaluation.name


@dataclass(frozen=True)
class Failure:
    """A model that could not be evaluated."""

    name: str
    error: str


@dataclass(frozen=True)
class GallerySample:
    """A sample of the gallery, with the results of each model.

    Attributes:
        by_model: Results by name of the model; at least one. All have the same image.
    """

    by_model: Mapping[str, Sample]

    @property
    def first(self) -> Sample:
        """Return the results of the first model."""
        return next(iter(self.by_model.values()))


@dataclass(frozen=True)
class Provenance:
    """Origin of the numbers: data, versions, options.

    Attributes:
        data: Data sets, splits and fingerprints.
        versions: Library versions, by name.
        settings: Options of each stage, by stage.
        command: Command that made the report.
    """

    data: tuple[str, ...]
    versions: Mapping[str, str]
    settings: Mapping[str, Mapping[str, Any]]
    command: str


@dataclass(frozen=True)
class Report:
    """Content of a report.

    Attributes:
        title: Title.
        metrics: Label and definition of each metric, in the order of the leaderboard.
        suites: Suite of each metric.
        entries: Evaluated models.
        failures: Models that could not be evaluated.
        experiments: Experiments of the models.
        gallery: Samples of the evaluations.
        provenance: Data, versions and options behind the numbers.
    """

    title: str
    metrics: Mapping[str, Metric]
    suites: Mapping[str, str]
    entries: tuple[EvaluatedModel, ...]
    failures: tuple[Failure, ...]
    experiments: tuple[ExperimentResults, ...]
    gallery: tuple[GallerySample, ...]
    provenance: Provenance

    def label(self, name: str) -> str:
        """Return the label of a metric, or of another name in a table."""
        return self.metrics[name].label if name in self.metrics else name.replace("_", " ")
