"""Images listed in a CSV file: one row per image, with one class or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ectool.datasets.base import SPLITS, DataRequest, Dataset, Groups, Labels, Report
from ectool.datasets.bounds.tables import label_matrix
from ectool.datasets.catalogue import DataSetEntry, unknown_split
from ectool.datasets.class_order import ClassOrder, ordered_classes
from ectool.datasets.image_files import ImageFiles
from ectool.datasets.own.csv_samples import CsvSample, read_samples
from ectool.datasets.own.drawn_annotations import DrawnAnnotations
from ectool.datasets.own.table_rows import line_fault
from ectool.datasets.splits import ALL
from ectool.errors import AbsentError, InputError


def open_csv(request: DataRequest) -> Dataset:
    """Open one split of the images that a CSV file lists.

    Columns, in any order, others are ignored:

    - ``path``: the image, relative to the folder of the file;
    - ``label``: one class, or several separated by ``;`` (one such row makes the data multi-label);
      or ``labels``: any number of them (multi-label in any case);
    - ``split``, optional: train, val | validation | valid, or test. Without it, the hash of the
      path draws it as in ``imagefolder``;
    - ``mask``, optional: as ``path``; all images of a split have one, or none has;
    - ``x0``, ``y0``, ``x1``, ``y1``, optional: a box in pixels of the image as displayed,
      right and bottom exclusive; empty if there is none;
    - ``group``, optional: name of a group with an accuracy of its own, such as class and
      background; all images of a split have one, or none has.

    Multi-label data have neither masks nor boxes, because their class would be unknown. Classes of
    all splits are sorted by value if all of them are integers, else as text; see ``class_order``
    of the request.

    Args:
        request: ``path``, ``split``, ``view``, ``class_order`` and ``root`` are used.

    Returns:
        The data set; sample ids are the paths.

    Raises:
        InputError: The file, a column, a cell, an image, a mask or the split is missing or not
            valid.
    """
    file = _find(request)
    samples, multilabel = read_samples(file, request.report)
    classes = _classes(file, samples, request.class_order)
    chosen = _choose(file, samples, request)
    for column in ("mask", "group"):
        chosen = _complete(file, chosen, column, request.report)
    paths = [sample.path for sample in chosen]
    annotations, groups = _annotations(file, chosen), _groups(chosen)
    grouped = {} if groups is None else {"groups": [sample.group for sample in chosen]}
    return ImageFiles(
        name=f"csv/{file.stem}/{request.split}",
        folder=file.parent,
        paths=paths,
        sample_ids=paths,
        labels=_labels(file, chosen, classes, multilabel),
        classes=tuple(classes),
        view=request.view,
        root=request.root,
        facts={"data": "csv", **(annotations.facts() if annotations else {}), **grouped},
        annotation_reader=annotations,
        groups=groups,
    )


def _find(request: DataRequest) -> Path:
    file = Path(request.path).expanduser()
    if request.path and file.is_file():
        return file
    raise AbsentError(
        f"csv:{request.path}",
        expected="an existing CSV file with the columns path and label",
        got="no such file" if request.path else "no path",
        fix="write csv:FILE with the file's path",
    )


def _choose(file: Path, samples: Sequence[CsvSample], request: DataRequest) -> Sequence[CsvSample]:
    """Return the samples of a split whose files exist; report the others."""
    split = request.split
    known = {sample.split for sample in samples}
    if split not in (*known, ALL):
        raise unknown_split(str(file), split, (*(name for name in SPLITS if name in known), ALL))
    chosen = [sample for sample in samples if split in (sample.split, ALL)]
    missing = {sample.path: _missing(file, sample) for sample in chosen}
    for error in (error for errors in missing.values() for error in errors.values()):
        request.report(error)
    return [sample for sample in chosen if sample.path not in missing[sample.path]]


def _missing(file: Path, sample: CsvSample) -> dict[str, InputError]:
    """Return the errors for the missing files of a row, by their paths."""
    return {
        path: line_fault(
            file,
            sample.line,
            expected=f"a file {file.parent / path}",
            got="no such file",
            fix="restore it, or correct the row",
        )
        for path in (sample.path, sample.mask)
        if path and not _is_file(file.parent / path)
    }


def _is_file(path: Path) -> bool:
    """Return whether a file exists; False for names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _classes(file: Path, samples: Sequence[CsvSample], order: ClassOrder | None) -> list[str]:
    names = {name for sample in samples for name in sample.labels}
    if not names:
        raise InputError(
            str(file), expected="rows with a label", got="none", fix="add a row for every image"
        )
    return ordered_classes(names, order, str(file))


def _labels(
    file: Path, samples: Sequence[CsvSample], classes: Sequence[str], multilabel: bool
) -> Labels:
    index = {name: number for number, name in enumerate(classes)}
    if not multilabel:
        return np.array([index[sample.labels[0]] for sample in samples], np.int64)
    rows = [[index[name] for name in sample.labels] for sample in samples]
    return label_matrix(str(file), rows, len(classes))


def _annotations(file: Path, samples: Sequence[CsvSample]) -> DrawnAnnotations | None:
    """Return the masks and boxes of a split."""
    paths = [sample.path for sample in samples]
    masks = boxes = None
    if any(sample.mask for sample in samples):
        masks = [sample.mask for sample in samples]
    if any(sample.box for sample in samples):
        boxes = [np.array([s.box] if s.box else [], np.float64).reshape(-1, 4) for s in samples]
    return DrawnAnnotations(file.parent, paths, masks, boxes) if masks or boxes else None


def _groups(samples: Sequence[CsvSample]) -> Groups | None:
    """Return the groups of a split, sorted by name."""
    names = sorted({sample.group for sample in samples if sample.group})
    if not names:
        return None
    index = {name: number for number, name in enumerate(names)}
    return Groups(tuple(names), np.array([index[s.group] for s in samples], np.int64))


def _complete(
    file: Path, samples: Sequence[CsvSample], column: str, report: Report
) -> Sequence[CsvSample]:
    """Return the samples with a value in an optional column; report the others, if any has one."""
    having = [sample for sample in samples if getattr(sample, column)]
    if not having:
        return samples
    for sample in (sample for sample in samples if not getattr(sample, column)):
        report(
            line_fault(
                file,
                sample.line,
                expected=f"a {column}, as other images of the split have one",
                got="an empty cell",
                fix=f"add the {column}, or leave all of them out",
            )
        )
    return having


CSV = DataSetEntry(
    open=open_csv,
    summary="Images listed in a CSV file: paths and labels; splits, masks and boxes optional.",
    uri="csv:FILE",
    splits=(*SPLITS, ALL),
)
