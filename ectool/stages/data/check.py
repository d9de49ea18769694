"""`data check`: read all of a data set, and report every fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ectool.config import DataCheckConfig
from ectool.datasets.base import Annotations, Dataset, Indices, is_multilabel
from ectool.datasets.labels import check_label_range
from ectool.datasets.registry import check_more, find_entry
from ectool.datasets.sample_ids import readable
from ectool.datasets.skipped_files import skipped_files
from ectool.errors import (
    AbsentError,
    EctoolError,
    FaultyDataError,
    InputError,
    MachineError,
)
from ectool.stages.common.inputs import data_request, open_data, split_name, view_options
from ectool.stages.data.info import annotation_kinds, noted, splits_of
from ectool.types import SILENT, Reporter

BATCH = 64

Counts = dict[str, int]
Step = Callable[[], object]


@dataclass
class Faults:
    """The faults of a data set, one for each subject, reported as they are found.

    Attributes:
        reporter: Prints each fault.
        messages: Message of each fault by its subject.
    """

    reporter: Reporter
    messages: dict[str, str] = field(default_factory=dict)

    def add(self, fault: EctoolError, where: str = "") -> None:
        """Report a fault, unless one of the same subject has been reported.

        Raises:
            MachineError: It is no fault of the data: everything else would fail as well.
        """
        if isinstance(fault, MachineError):
            raise fault
        if fault.subject not in self.messages:
            self.messages[fault.subject] = readable(f"{where}{fault}")
            self.reporter.note(self.messages[fault.subject])


def run(config: DataCheckConfig, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Read every image and annotation of every split and variant that is there, each once.

    A fault is reported as soon as it is found, and reading continues.

    Returns:
        JSON values: the faults, the counts of each split and variant, how many samples of each
        were read beyond those of earlier splits, and the files that were skipped.

    Raises:
        InputError: No split is there.
        FaultyDataError: There are faults; the error holds the same values.
    """
    faults, entry = Faults(reporter), find_entry(config.uri)
    splits, datasets, missing = _splits(config, faults), [], []
    counts: dict[str, Counts] = {}
    for variant in entry.variants:
        seen: set[tuple[str, ...]] = set()
        for split in splits:
            dataset = _open(config, split, variant, faults)
            if isinstance(dataset, AbsentError):
                missing.append(dataset)
                continue
            if dataset is not None:
                datasets.append(dataset)
                counts[f"{split}/{variant}"] = _check(dataset, seen, faults)
    if not datasets and not faults.messages:
        raise missing[0]
    for message in dict.fromkeys(map(str, missing)):
        reporter.note(f"missing: {message}")
    skipped = noted(skipped_files(datasets, owns_folder=entry.owns_folder))
    document = _document(config, faults, counts, skipped)
    if faults.messages:
        _note_counts(counts, skipped, reporter)
        raise _faulty(document)
    return document


def _document(
    config: DataCheckConfig, faults: Faults, counts: dict[str, Counts], skipped: dict[str, str]
) -> dict[str, Any]:
    return {
        "data": config.uri,
        "bad": len(faults.messages),
        "faults": [*faults.messages.values()],
        "read": {name: row["read"] for name, row in counts.items()},
        "skipped": skipped,
        "splits": counts,
    }


def _faulty(document: Mapping[str, Any]) -> FaultyDataError:
    count = document["bad"]
    error = FaultyDataError(
        document["data"],
        expected=f"{sum(document['read'].values())} readable samples",
        got=f"{count} {'fault' if count == 1 else 'faults'}, named above",
        fix="restore these files, or make the artifact again with --resume",
    )
    error.result = document
    return error


def _splits(config: DataCheckConfig, faults: Faults) -> tuple[str, ...]:
    """Return the splits that may be there; check the files that belong to none of them."""
    options = view_options(config.uri, config)
    try:
        splits = splits_of(config.uri)
    except EctoolError as fault:
        faults.add(fault)
        return ()
    for split in splits:
        request = data_request(options, split, report=faults.add)
        for error in _errors(partial(check_more, config.uri, request)):
            faults.add(error)
    return splits


def _open(
    config: DataCheckConfig, split: str, variant: str, faults: Faults
) -> Dataset | AbsentError | None:
    """Open a split; return None where a fault prevents it."""
    options = view_options(config.uri, config)
    try:
        return open_data(options, split, variant, checked=False, report=faults.add)
    except AbsentError as error:
        return error
    except Exception as error:  # damaged files can raise any exception
        faults.add(_as_fault(error, split_name(config.uri, split)))
        return None


def _check(dataset: Dataset, seen: set[tuple[str, ...]], faults: Faults) -> Counts:
    """Read the samples that are in no earlier split, and count."""
    # Two splits may share images and differ in their annotations.
    kinds = tuple(annotation_kinds(dataset))
    keys = [(name, *kinds) for name in dataset.sample_ids]
    unread = np.array([row for row, key in enumerate(keys) if key not in seen], np.int64)
    seen.update(keys)
    found = {"images": len(keys), "read": len(unread), "masks": 0, "boxes": 0, "parts": 0, "bad": 0}
    with faults.reporter.task(dataset.name, len(unread)) as advance:
        for start in range(0, len(unread), BATCH):
            rows = unread[start : start + BATCH]
            if not _read(dataset, rows, found):
                for row in rows:
                    found["bad"] += _read_one(dataset, np.array([row]), found, faults)
            advance(len(rows))
    return found


def _read(dataset: Dataset, rows: Indices, found: Counts) -> bool:
    """Read samples, and count their annotations; return whether there was no fault."""
    annotations: list[Annotations] = []
    if any(_errors(step) for step in _steps(dataset, rows, annotations)):
        return False
    _count(annotations, found)
    return True


def _read_one(dataset: Dataset, row: Indices, found: Counts, faults: Faults) -> bool:
    """Read a sample, image and annotations apart; return whether there was a fault."""
    annotations: list[Annotations] = []
    where = f"{dataset.name} {dataset.sample_ids[int(row[0])]}: "
    errors = [error for step in _steps(dataset, row, annotations) for error in _errors(step)]
    for error in errors:
        faults.add(error, where)
    _count(annotations, found)
    return bool(errors)


def _steps(dataset: Dataset, rows: Indices, annotations: list[Annotations]) -> Iterator[Step]:
    """Yield functions that each read one thing of samples; `annotations` collects those read."""
    yield lambda: _check_labels(dataset, rows)
    yield lambda: dataset.images(rows)
    yield lambda: annotations.append(dataset.annotations(rows))
    labels = dataset.labels[rows]
    if is_multilabel(labels):
        samples, classes = np.nonzero(labels == 1)
        yield lambda: dataset.annotations(rows[samples], classes)


def _check_labels(dataset: Dataset, rows: Indices) -> None:
    """Check that the labels of samples are classes; the error names the first sample."""
    try:
        check_label_range(dataset, rows)
    except InputError as error:
        subject = f"label of {dataset.sample_ids[int(rows[0])]}"
        raise InputError(subject, expected=error.expected, got=error.got, fix=error.fix) from error


def _errors(step: Step) -> list[EctoolError]:
    """Run a step; return its error, or nothing."""
    try:
        step()
    except Exception as error:  # damaged files can raise any exception
        return [_as_fault(error, "a sample")]
    return []


def _as_fault(error: Exception, subject: str) -> EctoolError:
    """Return any error as one that names its subject.

    Raises:
        MachineError: It is no fault of the data: everything else would fail as well.
    """
    if isinstance(error, MachineError | MemoryError):
        raise error
    if isinstance(error, EctoolError):
        return error
    return InputError(
        subject,
        expected="readable data",
        got=f"{type(error).__name__} ({error})",
        fix="restore the files",
    )


def _count(annotations: list[Annotations], found: Counts) -> None:
    """Add annotations of samples to the counts."""
    for one in annotations:
        found["masks"] += 0 if one.masks is None else len(one.masks)
        found["boxes"] += 0 if one.boxes is None else sum(map(len, one.boxes))
        found["parts"] += 0 if one.parts is None else int(np.prod(one.parts.shape[:2]))


def _note_counts(counts: dict[str, Counts], skipped: dict[str, str], reporter: Reporter) -> None:
    """Report the counts as notes: without JSON, stdout is empty if there are faults."""
    for name, row in counts.items():
        reporter.note(f"{name}: " + ", ".join(f"{count} {what}" for what, count in row.items()))
    for kind, text in skipped.items():
        reporter.note(f"skipped: {kind}: {text}")
