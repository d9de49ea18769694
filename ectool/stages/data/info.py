"""`data info`: classes, images and annotations of each split of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ectool.config import DataInfoConfig
from ectool.datasets.base import Dataset, is_multilabel
from ectool.datasets.labels import check_label_range
from ectool.datasets.registry import find_entry
from ectool.datasets.skipped_files import SkippedFiles, skipped_files
from ectool.errors import InputError
from ectool.stages.common.inputs import open_data, view_options
from ectool.types import SILENT, Reporter


def run(config: DataInfoConfig, reporter: Reporter = SILENT) -> dict[str, Any]:  # noqa: ARG001
    """Describe every split that exists; for a missing split, give the reason.

    Raises:
        InputError: No split exists, or a label is not a class.
    """
    entry, splits = find_entry(config.uri), splits_of(config.uri)
    found, faults = open_splits(config)
    if not found:
        raise next(iter(faults.values()))
    for dataset in found.values():
        check_label_range(dataset)
    any_split = next(iter(found.values()))
    return {
        "data": config.uri,
        "summary": entry.summary,
        "classes": len(any_split.classes),
        "kind": "multi-label" if is_multilabel(any_split.labels) else "single-label",
        "size": list(any_split.size),
        "variants": list(entry.variants),
        "splits": {
            split: _describe(found[split]) if split in found else str(faults[split])
            for split in splits
        },
        "skipped": noted(skipped_files(found.values(), owns_folder=entry.owns_folder)),
    }


def noted(found: Mapping[str, SkippedFiles]) -> dict[str, str]:
    """Return the number of skipped files of each kind, and the first of them, as text."""
    return {kind: f"{one.count}, the first {one.first}" for kind, one in found.items()}


def splits_of(uri: str) -> tuple[str, ...]:
    """Return the splits that a data set may have."""
    entry = find_entry(uri)
    return entry.splits_at(uri.partition(":")[2]) if entry.splits_at else entry.splits


def open_splits(config: DataInfoConfig) -> tuple[dict[str, Dataset], dict[str, InputError]]:
    """Open every split; return those that exist, and the errors of the others."""
    found, faults = {}, {}
    for split in splits_of(config.uri):
        try:
            found[split] = open_data(view_options(config.uri, config), split, checked=False)
        except InputError as error:
            faults[split] = error
    return found, faults


def _describe(dataset: Dataset) -> dict[str, Any]:
    """Return the numbers of images of a split and its classes, and the kinds of annotations."""
    labels = dataset.labels
    counts = (
        (labels == 1).sum(axis=0)
        if is_multilabel(labels)
        else np.bincount(labels[labels >= 0], minlength=len(dataset.classes))
    )
    return {
        "images": len(dataset.sample_ids),
        "per_class": {
            name: int(count) for name, count in zip(dataset.classes, counts, strict=True)
        },
        "annotations": annotation_kinds(dataset) or ["none"],
    }


def annotation_kinds(dataset: Dataset) -> list[str]:
    """Return the kinds of annotations of the objects, read from the first image."""
    try:
        annotations = dataset.annotations(np.arange(1))
    except InputError:
        return ["damaged"]
    return [name for name in ("masks", "boxes", "parts") if getattr(annotations, name) is not None]
