"""`data check`: read everything of a data set, and name what is bad."""

from __future__ import annotations

from typing import Any

import numpy as np

from ectool.config import DataCheckConfig
from ectool.datasets.base import Dataset, Indices, is_multilabel
from ectool.datasets.labels import check_label_range
from ectool.datasets.registry import find_entry
from ectool.errors import EctoolError, IntegrityError, MachineError
from ectool.stages.data_info import kinds_of_truth, open_splits
from ectool.stages.inputs import open_data, view_options
from ectool.types import SILENT, Reporter

BATCH = 64


def run(config: DataCheckConfig, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Read every picture and annotation of every split and variant that is there, each once.

    Every bad sample is told to the reporter as it is found.

    Returns:
        JSON values: how many samples were read of each split, beyond those of the splits before.

    Raises:
        InputError: No split is there.
        IntegrityError: Some samples are bad.
    """
    found, faults = open_splits(config)
    if not found:
        raise next(iter(faults.values()))
    for fault in faults.values():
        reporter.note(f"not there: {fault}")
    bad = 0
    read: dict[str, int] = {}
    for variant in find_entry(config.uri).variants:
        seen: set[tuple[str, ...]] = set()
        for split in found:
            dataset = _open(config, split, variant, reporter)
            if dataset is not None:
                # Two splits may share pictures, but know different things of their objects.
                kinds = tuple(kinds_of_truth(dataset))
                keys = [(name, *kinds) for name in dataset.sample_ids]
                rows = [row for row, key in enumerate(keys) if key not in seen]
                bad += _check(dataset, np.array(rows, np.int64), reporter)
                read[f"{split}/{variant}"] = len(rows)
                seen.update(keys)
    if bad:
        raise IntegrityError(
            config.uri,
            expected=f"{sum(read.values())} readable samples",
            got=f"{bad} bad ones, named above",
            fix="restore these files, or make the artifact again with --resume",
        )
    return {"data": config.uri, "bad": 0, "read": read}


def _open(config: DataCheckConfig, split: str, variant: str, reporter: Reporter) -> Dataset | None:
    try:
        return open_data(view_options(config.uri, config), split, variant, checked=False)
    except MachineError:
        raise
    except EctoolError as error:
        reporter.note(f"not there: {error}")
        return None


def _check(dataset: Dataset, wanted: Indices, reporter: Reporter) -> int:
    """Read samples batch by batch; return the number of bad ones."""
    bad = 0
    with reporter.task(dataset.name, len(wanted)) as advance:
        for start in range(0, len(wanted), BATCH):
            rows = wanted[start : start + BATCH]
            if _fault(dataset, rows) is not None:
                for row in rows.tolist():
                    fault = _fault(dataset, np.array([row]))
                    if fault is not None:
                        bad += 1
                        reporter.note(f"{dataset.name} {dataset.sample_ids[row]}: {fault}")
            advance(len(rows))
    return bad


def _fault(dataset: Dataset, rows: Indices) -> EctoolError | None:
    """Return why samples cannot be read, None where they can."""
    try:
        check_label_range(dataset, rows)
        dataset.images(rows)
        dataset.annotations(rows)
        labels = dataset.labels[rows]
        if is_multilabel(labels):
            samples, classes = np.nonzero(labels == 1)
            dataset.annotations(rows[samples], classes)
    except MachineError:  # no sample's fault: the others would fail as well
        raise
    except EctoolError as error:
        return error
    return None
