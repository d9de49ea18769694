"""What a report reads of single samples: pictures, heatmaps, scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ectool.artifacts.artifact import Artifact
from ectool.datasets.base import Dataset, is_multilabel
from ectool.errors import InputError
from ectool.reports.content import Sample, Sheet
from ectool.reports.selection import Choice, choose
from ectool.stages.inputs import positions, reopen_data
from ectool.stages.layout import HEATMAPS, SAMPLES, WEIGHTS
from ectool.stages.report_runs import Experiment

CHOICE_SEED = 0
RUN_AGAIN = "run the experiment again"


@dataclass(frozen=True)
class RoundData:
    """The open artifacts of a round, and the data set of its clean pictures."""

    dataset: Dataset
    perturbed: Artifact
    heatmaps: Artifact
    weights: Artifact


def read_sheet(experiment: Experiment) -> Sheet | None:
    """Return samples of the last round of the first run that has rounds; None without one.

    Raises:
        InputError: The data set is missing or not the one of the samples.
        IntegrityError: An artifact is not what was written.
    """
    run = next((run for run in experiment.runs if run.rounds), None)
    if run is None:
        return None
    last = run.rounds[-1]
    with (
        Artifact(last / SAMPLES, "samples") as perturbed,
        Artifact(last / HEATMAPS, "heatmaps") as heatmaps,
        Artifact(last / WEIGHTS, "weights") as weights,
    ):
        dataset = _open_data(perturbed)
        samples = _read_samples(RoundData(dataset, perturbed, heatmaps, weights))
    return Sheet(
        arm=run.arm,
        seed=run.seed,
        round=len(run.rounds),
        choice_seed=CHOICE_SEED,
        classes=len(dataset.classes),
        samples=tuple(samples),
    )


def _open_data(perturbed: Artifact) -> Dataset:
    """Open the data set of the clean pictures."""
    source = perturbed.manifest.recipe.source if perturbed.manifest else None
    if source is None:
        raise InputError(
            str(perturbed.path),
            expected="samples that name their data set",
            got="none",
            fix="make them with `ectool perturb`",
        )
    return reopen_data(source, perturbed.path)


def _read_samples(round_: RoundData) -> list[Sample]:
    """Choose samples and read what is shown of them; everything is joined on the sample id."""
    ids = round_.weights.sample_ids
    consistency = round_.weights.read("explanation_consistency")
    label = _first(round_.heatmaps.read("target")[_rows(round_.heatmaps, ids)], 1)
    choices = choose(label, consistency, seed=CHOICE_SEED)
    chosen = [ids[choice.row] for choice in choices]
    dataset = round_.dataset
    places = zip(
        positions(chosen, list(dataset.sample_ids), dataset.name, RUN_AGAIN).tolist(),
        _rows(round_.perturbed, chosen).tolist(),
        _rows(round_.heatmaps, chosen).tolist(),
        strict=True,
    )
    found = {
        choice: _read_sample(round_, choice, *place)
        for choice, place in sorted(  # in the order of the shards, so that each is read once
            zip(choices, places, strict=True), key=lambda pair: pair[1]
        )
    }
    return [found[choice] for choice in choices]


def _read_sample(
    round_: RoundData, choice: Choice, picture: int, perturbed: int, heatmap: int
) -> Sample:
    """Read one sample, given its row in the data set and in both artifacts."""
    classes = round_.dataset.classes
    several = is_multilabel(round_.dataset.labels)
    before, after = (
        _answer(_row(round_.heatmaps, name, heatmap), classes, several=several)
        for name in ("logits_clean", "logits_adversarial")
    )
    clean, adversarial = (
        _first(_row(round_.heatmaps, name, heatmap), 2).astype(np.float32)
        for name in ("clean", "adversarial")
    )
    return Sample(
        sample_id=round_.weights.sample_ids[choice.row],
        choice=choice.reason,
        label=classes[_first(_row(round_.heatmaps, "target", heatmap), 0)],
        predicted=(before, after),
        consistency=float(_row(round_.weights, "explanation_consistency", choice.row)),
        weight=float(_row(round_.weights, "weight", choice.row)),
        image=round_.dataset.images(np.array([picture]))[0],
        perturbed=_row(round_.perturbed, "image", perturbed),
        clean=clean,
        adversarial=adversarial,
    )


def _answer(logits: np.ndarray[Any, Any], classes: Sequence[str], *, several: bool) -> str:
    """Return the predicted class; of multi-label data all that are found, or `none`."""
    if not several:
        return classes[int(logits.argmax())]
    return ", ".join(classes[found] for found in np.flatnonzero(logits > 0).tolist()) or "none"


def _first(values: np.ndarray[Any, Any], ndim: int) -> Any:  # noqa: ANN401 (array or number)
    """Return what belongs to the first of the explained labels, where there are several."""
    return values if values.ndim == ndim else values[:, 0] if ndim == 1 else values[0]


def _row(artifact: Artifact, name: str, row: int) -> np.ndarray[Any, Any]:
    values: np.ndarray[Any, Any] = artifact.read(name, row, row + 1)[0]
    return values


def _rows(artifact: Artifact, ids: Sequence[str]) -> np.ndarray[Any, Any]:
    return positions(list(ids), artifact.sample_ids, str(artifact.path), RUN_AGAIN)
