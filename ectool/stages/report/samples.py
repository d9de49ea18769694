"""Samples of a report: images, heatmaps, scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import DataSource
from ectool.datasets.base import Dataset, is_multilabel
from ectool.datasets.perturbed_images import PerturbedImages
from ectool.errors import InputError
from ectool.reports.content import RoundSamples, Sample
from ectool.reports.selection import choose
from ectool.stages.common.inputs import positions, reopen_data
from ectool.stages.common.layout import HEATMAPS, SAMPLES, WEIGHTS
from ectool.stages.report.runs import FinishedExperiment

CHOICE_SEED = 0
OTHER_CLASS = "another class"
"""Prediction of a model that knows more classes than the data have."""
RUN_AGAIN = "run the experiment again"


class Place(NamedTuple):
    """Rows of a sample in the data set and in the artifacts of a round."""

    image: int
    perturbed: int
    heatmap: int
    weight: int


@dataclass(frozen=True)
class RoundData:
    """The open artifacts of a round, or of an evaluation."""

    perturbed: Artifact
    heatmaps: Artifact
    weights: Artifact

    @property
    def source(self) -> DataSource:
        """Return the data set of the clean images.

        Raises:
            InputError: The samples do not name it.
        """
        source = self.perturbed.manifest.recipe.source if self.perturbed.manifest else None
        if source is None:
            raise InputError(
                str(self.perturbed.path),
                expected="samples that name their data set",
                got="none",
                fix="make them with `ectool perturb`",
            )
        return source

    def open_dataset(self) -> Dataset:
        """Open the data set of the clean images.

        Raises:
            InputError: It is missing, or has changed.
        """
        return reopen_data(self.source, self.perturbed.path)


@contextmanager
def open_round(path: Path) -> Iterator[RoundData]:
    """Open the artifacts of a round, or of an evaluation.

    Raises:
        InputError: One is missing.
    """
    with (
        Artifact(path / SAMPLES, "samples") as perturbed,
        Artifact(path / HEATMAPS, "heatmaps") as heatmaps,
        Artifact(path / WEIGHTS, "weights") as weights,
    ):
        yield RoundData(perturbed, heatmaps, weights)


def read_round_samples(experiment: FinishedExperiment) -> RoundSamples | None:
    """Return samples of the last round of the first run that has rounds; None without one.

    Raises:
        InputError: The data set is missing, or has changed.
        IntegrityError: An artifact has changed since it was written.
    """
    records = (run.record for run in experiment.runs)
    run = next((record for record in records if record.rounds), None)
    if run is None:
        return None
    with open_round(run.rounds[-1]) as last:
        dataset, consistency = last.open_dataset(), last.weights.read("explanation_consistency")
        choices = choose(explained_labels(last), consistency, seed=CHOICE_SEED)
        ids = last.weights.sample_ids
        chosen = {ids[choice.row]: choice.reason for choice in choices}
        samples = read_samples(last, dataset, chosen)
    return RoundSamples(
        arm=run.arm,
        seed=run.seed,
        round=len(run.rounds),
        choice_seed=CHOICE_SEED,
        classes=len(dataset.classes),
        samples=tuple(samples),
    )


def explained_labels(round_: RoundData) -> np.ndarray[Any, Any]:
    """Return the (first) explained class of each sample of the weights."""
    rows = rows_of(round_.heatmaps, round_.weights.sample_ids)
    labels: np.ndarray[Any, Any] = _first(round_.heatmaps.read("target")[rows], 1)
    return labels


def read_samples(round_: RoundData, dataset: Dataset, chosen: Mapping[str, str]) -> list[Sample]:
    """Read samples; all artifacts are joined on the sample id.

    Args:
        round_: Artifacts of the samples.
        dataset: The clean images.
        chosen: Reason of each choice by sample id.

    Returns:
        The samples, in the order of `chosen`.
    """
    ids = list(chosen)
    columns = [
        positions(ids, list(dataset.sample_ids), dataset.name, RUN_AGAIN),
        *(rows_of(one, ids) for one in (round_.perturbed, round_.heatmaps, round_.weights)),
    ]
    places = [Place(*rows) for rows in zip(*(column.tolist() for column in columns), strict=True)]
    found = {
        name: _read_sample(round_, dataset, place, chosen[name])
        for name, place in sorted(  # in the order of the shards: each shard is read once
            zip(ids, places, strict=True), key=lambda pair: pair[1].perturbed
        )
    }
    return [found[name] for name in ids]


def _read_sample(round_: RoundData, dataset: Dataset, place: Place, choice: str) -> Sample:
    multilabel = is_multilabel(dataset.labels)
    clean, adversarial = (
        _first(_row(round_.heatmaps, name, place.heatmap), 2).astype(np.float32)
        for name in ("clean", "adversarial")
    )
    logits = [
        _row(round_.heatmaps, name, place.heatmap)
        for name in ("logits_clean", "logits_adversarial")
    ]
    before, after = (_predicted(one, dataset.classes, multilabel=multilabel) for one in logits)
    label, image = dataset.labels[place.image], dataset.images(np.array([place.image]))
    perturbed = PerturbedImages(round_.perturbed, dataset, str(round_.perturbed.path))
    return Sample(
        sample_id=round_.weights.sample_ids[place.weight],
        choice=choice,
        label=dataset.classes[_first(_row(round_.heatmaps, "target", place.heatmap), 0)],
        predicted=(before, after),
        correct=(_is_correct(logits[0], label), _is_correct(logits[1], label)),
        consistency=float(_row(round_.weights, "explanation_consistency", place.weight)),
        similarity=_mean(_row(round_.weights, "similarity", place.weight)),
        stability=_mean(_row(round_.weights, "stability", place.weight)),
        weight=float(_row(round_.weights, "weight", place.weight)),
        image=image[0],
        perturbed=perturbed(np.array([place.perturbed]), lambda: image)[0],
        clean=clean,
        adversarial=adversarial,
    )


def _is_correct(logits: np.ndarray[Any, Any], label: np.ndarray[Any, Any]) -> bool:
    """Report whether a prediction is correct; multi-label: for every label that is not ignored."""
    if label.ndim == 0:
        return bool(logits.argmax() == label)
    return bool(((logits > 0) == (label == 1))[label >= 0].all())


def _predicted(logits: np.ndarray[Any, Any], classes: Sequence[str], *, multilabel: bool) -> str:
    """Return the predicted class; multi-label: all predicted classes, or `none`.

    The column after the classes of the data is that of all other classes of the model.
    """
    if not multilabel:
        return [*classes, OTHER_CLASS][int(logits.argmax())]
    return ", ".join(classes[found] for found in np.flatnonzero(logits > 0).tolist()) or "none"


def _first(values: np.ndarray[Any, Any], ndim: int) -> Any:  # noqa: ANN401 (array or number)
    """Return the values of the first explained label of multi-label data."""
    return values if values.ndim == ndim else values[:, 0] if ndim == 1 else values[0]


def _mean(scores: np.ndarray[Any, Any]) -> float:
    """Return the score of a sample; multi-label: the mean over its labels, NaN without any."""
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if known.size else math.nan


def _row(artifact: Artifact, name: str, row: int) -> np.ndarray[Any, Any]:
    values: np.ndarray[Any, Any] = artifact.read(name, row, row + 1)[0]
    return values


def rows_of(artifact: Artifact, ids: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return the rows of samples in an artifact.

    Raises:
        InputError: A sample is missing.
    """
    return positions(list(ids), artifact.sample_ids, str(artifact.path), RUN_AGAIN)
