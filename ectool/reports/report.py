"""What a report says, before it is drawn: the one source of the page and of `report.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ectool.reports.content import Experiment, Metric, Sample
from ectool.reports.evaluation import Evaluation


@dataclass(frozen=True)
class Entry:
    """An evaluated model: a row of the leaderboard.

    Attributes:
        evaluation: What was measured; its name is unique in the report.
        group: What models that differ in the seed alone have in common; else the name.
        data: What it was measured on.
    """

    evaluation: Evaluation
    group: str
    data: str

    @property
    def name(self) -> str:
        """Return what the model is called."""
        return self.evaluation.name


@dataclass(frozen=True)
class Failure:
    """A model that could not be evaluated."""

    name: str
    error: str


@dataclass(frozen=True)
class Exhibit:
    """An image of the gallery, as each model sees it that was evaluated on it.

    Attributes:
        seen: What the models say, by name; at least one. All show the same image.
    """

    seen: Mapping[str, Sample]

    @property
    def first(self) -> Sample:
        """Return what the first model says."""
        return next(iter(self.seen.values()))


@dataclass(frozen=True)
class Provenance:
    """What made the numbers.

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
    """Everything a report says.

    Attributes:
        title: Title.
        metrics: What each metric is, in the order of the leaderboard.
        suites: Suite that each metric belongs to.
        entries: Evaluated models.
        failures: Models that could not be evaluated.
        experiments: Experiments that the models come from.
        gallery: Images of the evaluations.
        provenance: What made the numbers.
    """

    title: str
    metrics: Mapping[str, Metric]
    suites: Mapping[str, str]
    entries: tuple[Entry, ...]
    failures: tuple[Failure, ...]
    experiments: tuple[Experiment, ...]
    gallery: tuple[Exhibit, ...]
    provenance: Provenance

    def label(self, name: str) -> str:
        """Return the label of a metric, or of what else a table names."""
        return self.metrics[name].label if name in self.metrics else name.replace("_", " ")
