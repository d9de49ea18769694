"""`data check`: read everything of a data set, and name what is bad."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ectool.config import DataCheckConfig
from ectool.datasets.base import Annotations, Dataset, Indices, is_multilabel
from ectool.datasets.labels import check_label_range
from ectool.datasets.registry import check_more, find_entry
from ectool.datasets.sample_ids import readable
from ectool.datasets.skipped_files import passed_over
from ectool.errors import AbsentError, EctoolError, InputError, IntegrityError, MachineError
from ectool.stages.common.inputs import data_request, open_data, view_options
from ectool.stages.data.info import annotation_kinds, noted, splits_of
from ectool.types import SILENT, Reporter

BATCH = 64

Counts = dict[str, int]


@dataclass
class Faults:
    """What is bad, each subject once, told as it is found.

    Attributes:
        reporter: Is told.
        subjects: Of all faults.
    """

    reporter: Reporter
    subjects: set[str] = field(default_factory=set)

    def add(self, fault: EctoolError, where: str = "") -> None:
        """Tell of a fault, unless its subject is known.

        Raises:
            MachineError: It is no fault of the data: the others would fail as well.
        """
        if isinstance(fault, MachineError):
            raise fault
        if fault.subject not in self.subjects:
            self.subjects.add(fault.subject)
            self.reporter.note(readable(f"{where}{fault}"))


def run(config: DataCheckConfig, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Read every image and annotation of every split and variant that is there, each once.

    Every fault is told to the reporter as it is found, and the rest is read nevertheless.

    Returns:
        JSON values: counts of each split and variant, how many samples were read of each beyond
        those of the splits before, and what was passed over.

    Raises:
        InputError: No split is there.
        IntegrityError: Something is bad.
    """
    faults, entry = Faults(reporter), find_entry(config.uri)
    splits, datasets, missing = _splits(config, faults), [], []
    counts: dict[str, Counts] = {}
    for variant in entry.variants:
        seen: set[tuple[str, ...]] = set()
        for split in splits:
            dataset = _open(config, split, variant, faults)
            if isinstance(dataset, AbsentError):
                missing.append((split, variant, dataset))
                continue
            if dataset is not None:
                datasets.append(dataset)
                counts[f"{split}/{variant}"] = _check(dataset, seen, faults)
    if not datasets and not faults.subjects:
        raise missing[0][2]
    _tell_missing(missing, reporter)
    over = noted(passed_over(datasets, owns_folder=entry.owns_folder))
    if faults.subjects:
        _tell_counts(counts, over, reporter)
        read = sum(row["read"] for row in counts.values())
        raise IntegrityError(
            config.uri,
            expected=f"{read} readable samples",
            got=f"{len(faults.subjects)} bad ones, named above",
            fix="restore these files, or make the artifact again with --resume",
        )
    read_of = {name: row["read"] for name, row in counts.items()}
    return {"data": config.uri, "bad": 0, "read": read_of, "passed_over": over, "splits": counts}


def _splits(config: DataCheckConfig, faults: Faults) -> tuple[str, ...]:
    """Return the splits that may be there, and check what none of them shows."""
    options = view_options(config.uri, config)
    try:
        splits = splits_of(config.uri)
    except EctoolError as fault:
        faults.add(fault)
        return ()
    for split in splits:
        request = data_request(options, split, report=faults.add)
        for error in _caught(partial(check_more, config.uri, request)):
            faults.add(error)
    return splits


def _open(
    config: DataCheckConfig, split: str, variant: str, faults: Faults
) -> Dataset | AbsentError | None:
    """Open a split; None where its fault leaves nothing to read."""
    options = view_options(config.uri, config)
    try:
        return open_data(options, split, variant, checked=False, report=faults.add)
    except AbsentError as error:
        return error
    except Exception as error:  # files that are damaged enough raise whatever comes to mind
        faults.add(_told(error, f"{config.uri} ({split})"))
        return None


def _check(dataset: Dataset, seen: set[tuple[str, ...]], faults: Faults) -> Counts:
    """Read the samples that no split before has shown, and count."""
    # Two splits may share images, but know different things of their objects.
    kinds = tuple(annotation_kinds(dataset))
    keys = [(name, *kinds) for name in dataset.sample_ids]
    wanted = np.array([row for row, key in enumerate(keys) if key not in seen], np.int64)
    seen.update(keys)
    found = {"images": len(keys), "read": len(wanted), "masks": 0, "boxes": 0, "parts": 0, "bad": 0}
    with faults.reporter.task(dataset.name, len(wanted)) as advance:
        for start in range(0, len(wanted), BATCH):
            rows = wanted[start : start + BATCH]
            if not _read(dataset, rows, found):
                for row in rows:
                    found["bad"] += _read_one(dataset, np.array([row]), found, faults)
            advance(len(rows))
    return found


def _read(dataset: Dataset, rows: Indices, found: Counts) -> bool:
    """Read samples, and count their annotations; return whether all of them are good."""
    told: list[Annotations] = []
    if any(_caught(step) for step in _steps(dataset, rows, told)):
        return False
    _count(told, found)
    return True


def _read_one(dataset: Dataset, row: Indices, found: Counts, faults: Faults) -> bool:
    """Read a sample, image and annotations apart; return whether something is bad."""
    told: list[Annotations] = []
    where = f"{dataset.name} {dataset.sample_ids[int(row[0])]}: "
    errors = [error for step in _steps(dataset, row, told) for error in _caught(step)]
    for error in errors:
        faults.add(error, where)
    _count(told, found)
    return bool(errors)


def _steps(dataset: Dataset, rows: Indices, told: list[Annotations]) -> Iterator[Any]:
    """Yield what reads one thing each of samples; the annotations of all classes are told."""
    yield lambda: _check_labels(dataset, rows)
    yield lambda: dataset.images(rows)
    yield lambda: told.append(dataset.annotations(rows))
    labels = dataset.labels[rows]
    if is_multilabel(labels):
        samples, classes = np.nonzero(labels == 1)
        yield lambda: dataset.annotations(rows[samples], classes)


def _check_labels(dataset: Dataset, rows: Indices) -> None:
    """Check that labels are ones of the classes; of one sample, name it."""
    try:
        check_label_range(dataset, rows)
    except InputError as error:
        subject = f"label of {dataset.sample_ids[int(rows[0])]}"
        raise InputError(subject, expected=error.expected, got=error.got, fix=error.fix) from error


def _caught(step: Any) -> list[EctoolError]:  # noqa: ANN401 (any function without arguments)
    """Return what goes wrong in a step: nothing, or one fault."""
    try:
        step()
    except Exception as error:  # files that are damaged enough raise whatever comes to mind
        return [_told(error, "a sample")]
    return []


def _told(error: Exception, subject: str) -> EctoolError:
    """Return an error as one of ours.

    Raises:
        MachineError: It is no fault of the data: the others would fail as well.
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


def _count(told: list[Annotations], found: Counts) -> None:
    """Add what is known of the objects of samples to the counts."""
    for one in told:
        found["masks"] += 0 if one.masks is None else len(one.masks)
        found["boxes"] += 0 if one.boxes is None else sum(map(len, one.boxes))
        found["parts"] += 0 if one.parts is None else int(np.prod(one.parts.shape[:2]))


def _tell_missing(missing: list[tuple[str, str, AbsentError]], reporter: Reporter) -> None:
    """Tell what is not there, the same thing once."""
    for message in dict.fromkeys(str(error) for _, _, error in missing):
        reporter.note(f"not there: {message}")


def _tell_counts(counts: dict[str, Counts], over: dict[str, str], reporter: Reporter) -> None:
    """Tell the table where stdout has none."""
    for name, row in counts.items():
        reporter.note(f"{name}: " + ", ".join(f"{count} {what}" for what, count in row.items()))
    for kind, text in over.items():
        reporter.note(f"passed over: {kind}: {text}")
