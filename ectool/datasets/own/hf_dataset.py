"""Data sets of the package `datasets` of Hugging Face, saved in a local folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ectool.datasets.base import SPLITS, DataRequest, Dataset, Groups, Labels
from ectool.datasets.bounds.tables import MAX_CLASSES, check_count, label_matrix
from ectool.datasets.catalogue import DataSetEntry, unknown_split
from ectool.datasets.class_order import ordered_classes
from ectool.datasets.labels import NO_TARGET
from ectool.datasets.own.hf_columns import Column, find_columns
from ectool.datasets.own.hf_images import OpenTable, TableImages
from ectool.datasets.own.hf_rows import Sample, is_valid, row_fault, samples_of
from ectool.datasets.own.hf_tables import Table, find_tables, load
from ectool.datasets.splits import ALL, drawn_split
from ectool.errors import AbsentError, InputError
from ectool.input_files import real_path


def open_hf(request: DataRequest) -> Dataset:
    """Open one split of a data set that `datasets` saved, or of Parquet files.

    A ``DatasetDict`` has a split for each of its keys; ``val``, ``valid`` and ``dev`` are
    ``validation``. Of rows without splits, the hash of the sample id selects the split as in
    ``imagefolder``. Columns:

    - ``image`` or ``img``, or the only column of images (``datasets.Image``);
    - ``label`` or ``labels``, or the only one of ``ClassLabel``: a class, or a list of classes
      (multi-label). ClassLabel names the classes; other values are sorted as in ``csv``;
    - ``mask``, optional: images; every row has one, or none has;
    - ``group``, optional; ``x0``, ``y0``, ``x1``, ``y1``, optional: as in ``csv``;
    - ``sample_id`` or ``id``, optional: text or integers. Otherwise the number of the row.

    Args:
        request: ``path``, ``split``, ``view``, ``class_order`` and ``root`` are used.

    Returns:
        The data set; sample ids are ``SPLIT/ID``, or ``ID`` for rows without splits.

    Raises:
        InputError: The folder, a column, a cell or the split is missing or not valid.
    """
    tables = [_opened(table, request.root) for table in find_tables(request.path)]
    label = _label_column(tables)
    listed = [sample for table in tables for sample in samples_of(table)]
    classes = _class_names(Path(request.path).expanduser(), label, listed, request)
    samples = [
        one for one in _chosen(tables, listed, request) if is_valid(one, label, request.report)
    ]
    samples = _complete_groups(samples, request)
    if not samples:
        raise AbsentError(
            f"hf:{request.path}",
            expected=f"rows of the split {request.split!r}",
            got="none",
            fix=f"choose another split; {ALL!r} takes every row",
        )
    folder = tables[0].table.folder
    return TableImages(
        name=f"hf/{real_path(folder).name}/{request.split}",
        places=[one.place for one in samples],
        files=_files(samples),
        sample_ids=[one.sample_id for one in samples],
        labels=_labels(samples, classes, label),
        classes=tuple(classes),
        view=request.view,
        root=request.root,
        boxes=_boxes(samples),
        groups=_groups(samples),
    )


def _opened(table: Table, root: Path) -> OpenTable:
    rows = load(table, root)
    return OpenTable(table, rows, find_columns(str(table), rows))


def _label_column(tables: Sequence[OpenTable]) -> Column:
    """Return the column of labels, which all tables share."""
    first = tables[0].columns
    for table in tables[1:]:
        found = table.columns
        if (found.label, found.mask) != (first.label, first.mask):
            raise InputError(
                str(table.table),
                expected=f"the classes and masks of {tables[0].table}",
                got=f"{found.label.name} of other classes or type"
                if found.label != first.label
                else f"mask {found.mask}, and {first.mask} there",
                fix="cast all splits to the same features, then save the data set again",
            )
    if first.label.is_list and (first.mask or first.has_boxes):
        raise InputError(
            str(tables[0].table),
            expected="neither masks nor boxes in a multi-label data set",
            got=first.mask or "boxes",
            fix="remove these columns: the class of each object is unknown",
        )
    return first.label


def _chosen(
    tables: Sequence[OpenTable], samples: Sequence[Sample], request: DataRequest
) -> list[Sample]:
    """Return the samples of the split."""
    split = request.split
    splits = _splits([table.table for table in tables])
    if split not in splits:
        raise unknown_split(f"hf:{request.path}", split, splits)
    return [
        one
        for one in samples
        if split == ALL or split == (one.place[0].table.split or drawn_split(one.sample_id))
    ]


def _splits(tables: Sequence[Table]) -> tuple[str, ...]:
    named = [table.split for table in tables if table.split]
    return tuple(dict.fromkeys((*(named or SPLITS), ALL)))


def _complete_groups(samples: list[Sample], request: DataRequest) -> list[Sample]:
    """Return the samples with a group; report the others, if any has one."""
    having = [one for one in samples if one.group]
    if not having:
        return samples
    expected = "a group, as other images of the split have one"
    for one in (one for one in samples if not one.group):
        fix = "add the group, or remove the column"
        request.report(row_fault(one, expected, "an empty cell", fix))
    return having


def _class_names(
    folder: Path, label: Column, samples: Sequence[Sample], request: DataRequest
) -> list[str]:
    """Return the classes: those of ClassLabel, or the sorted values of all rows."""
    if label.names is not None:
        return list(label.names)
    values = (one.label if label.is_list else [one.label] for one in samples)
    names = {name for found in values for name in found or () if name is not None}
    check_count(str(folder), len(names), MAX_CLASSES, "classes")
    if not names:
        raise InputError(
            str(folder),
            expected=f"a class in the column {label.name}",
            got="none",
            fix="label the rows",
        )
    return ordered_classes(names, request.class_order, str(folder))


def _labels(samples: Sequence[Sample], classes: Sequence[str], label: Column) -> Labels:
    index: Mapping[Any, int] = (
        {number: number for number in range(NO_TARGET, len(classes))}
        if label.names is not None
        else {name: number for number, name in enumerate(classes)}
    )
    if not label.is_list:
        found = [NO_TARGET if one.label is None else index[one.label] for one in samples]
        return np.array(found, np.int64)
    rows = [[index[name] for name in one.label] for one in samples]
    return label_matrix(str(samples[0].place[0].table.folder), rows, len(classes))


def _boxes(samples: Sequence[Sample]) -> np.ndarray | None:
    """Return the boxes, None if no sample has one."""
    empty = np.full(4, np.nan)
    boxes = np.stack([empty if one.box is None else one.box for one in samples])
    return None if np.isnan(boxes).all() else boxes


def _groups(samples: Sequence[Sample]) -> Groups | None:
    """Return the groups, sorted by name."""
    names = sorted({one.group for one in samples if one.group})
    if not names:
        return None
    index = {name: number for number, name in enumerate(names)}
    return Groups(tuple(names), np.array([index[str(s.group)] for s in samples], np.int64))


def _files(samples: Sequence[Sample]) -> list[str]:
    """Return the files of the rows, and those that the rows name."""
    tables = dict.fromkeys(one.place[0].table for one in samples)
    named = dict.fromkeys(path for one in samples for path in one.files)
    return [*(file for table in tables for file in table.files), *named]


def hf_splits(path: str) -> tuple[str, ...]:
    """Return the splits in a folder, the usual ones if they are unknown.

    Args:
        path: Part of the data URI after the colon.
    """
    try:
        return _splits(find_tables(path))
    except InputError:  # opening the data set reports it
        return (*SPLITS, ALL)


HUGGING_FACE = DataSetEntry(
    open=open_hf,
    summary="Data sets of Hugging Face `datasets`, saved in a folder, or Parquet files.",
    uri="hf:PATH",
    splits=(*SPLITS, ALL),
    splits_at=hf_splits,
)
