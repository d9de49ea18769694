"""Boxes from heatmaps, with thresholds tuned on validation images (MaxBoxAcc)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ectool.artifacts.artifact import Artifact
from ectool.config import ExplainConfig
from ectool.datasets.base import Dataset
from ectool.errors import InputError
from ectool.metrics.boxes import MAX_BOX_ACC_LEVEL, BoxOverlaps, box_overlaps, max_box_acc
from ectool.metrics.statistics import mean_per_sample
from ectool.stages.common.inputs import open_data, reopen_data
from ectool.stages.common.layout import HEATMAPS, VALIDATION_HEATMAPS
from ectool.stages.evaluate.growth import keep_or_set_aside
from ectool.stages.evaluate.suites.base import Columns
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.localization.objects import blocks, first_annotations
from ectool.stages.evaluate.suites.parts import Part, Subject
from ectool.stages.evaluate.suites.rounds import stage_options
from ectool.stages.explain import command as explain
from ectool.types import Outcome


def validation_parts(subject: Subject) -> tuple[Part, ...]:
    """Return the part with heatmaps of validation images; none if boxes cannot be found.

    Without validation images with boxes the accuracy of boxes is left out: with a threshold
    tuned on the evaluated images it would be too high.
    """
    if not _has_boxes(subject.original):
        return ()
    fault = _why_untuned(subject)
    if fault:
        subject.reporter.warn(
            f"without MaxBoxAcc, because its threshold needs other images: {fault}"
        )
        return ()
    title = "heatmaps of validation images"
    return (Part(VALIDATION_HEATMAPS, "heatmaps", _explain_validation, title, is_shared=True),)


def validation_key(subject: Subject) -> dict[str, str]:
    """Return the fingerprint of the images (and boxes) that tune the threshold, for the key.

    Empty if no threshold is tuned.
    """
    if subject.reference.is_program or not _has_boxes(subject.original):
        return {}
    try:
        validation = open_data(subject.config, subject.config.validation_split)
    except InputError:
        return {}
    return {"validation": validation.fingerprint}


def _why_untuned(subject: Subject) -> str:
    """Return why no threshold can be tuned; empty if one can."""
    config = subject.config
    try:
        validation = open_data(config, config.validation_split)
    except InputError as error:
        return str(error)
    if not _has_boxes(validation):
        return f"{validation.name} has no boxes"
    if set(validation.sample_ids) & set(subject.original.sample_ids):
        return f"{validation.name} shares images with {subject.original.name}"
    return ""


def _has_boxes(dataset: Dataset) -> bool:
    return first_annotations(dataset).boxes is not None


def _explain_validation(subject: Subject, path: Path) -> Outcome:
    """Explain the validation images with the options of the evaluated images."""
    config = subject.config
    explaining = ExplainConfig(**stage_options(config), split=config.validation_split, output=path)
    options, split = explain.find_data(explaining, None)
    inputs = explain.ExplainInputs(subject.reference, options, split, open_data(options, split))
    recipe = explain.describe(explaining, inputs, None)
    size = explaining.shard_size
    subject.group.from_first(lambda: keep_or_set_aside(subject, path, recipe, size))
    return explain.run(explaining, subject.reporter)


def box_accuracies(evaluated: Evaluated) -> Columns:
    """Return MaxBoxAcc and MaxBoxAccV2 of every sample with heatmaps, in the order of the heatmaps.

    Empty without heatmaps of validation images, or if these images are missing.
    """
    if not evaluated.has(VALIDATION_HEATMAPS) or evaluated.dataset is None:
        return {}
    tuning, tested = evaluated.parts[VALIDATION_HEATMAPS], evaluated.parts[HEATMAPS]
    validation = _images_of(tuning)
    if validation is None:
        return {}
    tuned, _ = _overlaps(tuning, validation)
    found, samples = _overlaps(tested, evaluated.dataset)
    right = {
        "max_box_acc": max_box_acc(found.largest, tuned.largest, MAX_BOX_ACC_LEVEL),
        "max_box_acc_v2": max_box_acc(found.best, tuned.best),
    }
    return {name: mean_per_sample(score, samples, len(tested)) for name, score in right.items()}


def _images_of(heatmaps: Artifact) -> Dataset | None:
    source = heatmaps.manifest.recipe.source if heatmaps.manifest else None
    if source is None:
        return None
    try:
        return reopen_data(source, heatmaps.path)
    except InputError:
        return None


def _overlaps(
    heatmaps: Artifact, dataset: Dataset
) -> tuple[BoxOverlaps, np.ndarray[Any, np.dtype[np.int64]]]:
    """Return the overlaps of the boxes of every heatmap with annotated boxes, and its sample."""
    found, samples = [], []
    for block in blocks(heatmaps, dataset):
        found.append(box_overlaps(block.maps, block.boxes or [], block.size))
        samples.append(block.start + block.samples)
    overlaps = BoxOverlaps(
        largest=np.concatenate([part.largest for part in found]),
        best=np.concatenate([part.best for part in found]),
    )
    return overlaps, np.concatenate(samples)
