"""Inputs of stages: data sets and artifacts, opened and identified without torch."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ectool import urls
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import DataSource, Parent
from ectool.config import MAX_PIXELS, DataOptions, ViewOptions
from ectool.datasets.base import DataRequest, Dataset, Report, raise_fault
from ectool.datasets.labels import NO_TARGET, check_label_range
from ectool.datasets.registry import open_dataset
from ectool.datasets.views import View
from ectool.errors import AbsentError, InputError
from ectool.settings import DATA_VARIABLE

FINGERPRINT_DIGITS = 12
"""Digits of a fingerprint that are enough for messages."""


def split_name(data: str, split: str) -> str:
    """Return how messages name a split of a data set."""
    return f"{data} ({split})"


def short(fingerprint: str) -> str:
    """Return how messages show a fingerprint."""
    return fingerprint[:FINGERPRINT_DIGITS]


def data_root() -> Path:
    """Return the folder of the data sets and of the cache of generated ones."""
    return Path(os.environ.get(DATA_VARIABLE, "data"))


def data_request(
    options: DataOptions, split: str, variant: str = "original", report: Report = raise_fault
) -> DataRequest:
    """Return the request of options, without the path of their URI."""
    return DataRequest(
        path="",
        split=split,
        root=data_root(),
        variant=variant,
        view=View(options.size, options.view, options.max_pixels),
        rho=options.rho,
        seed=options.data_seed,
        fold=options.fold,
        class_order=options.class_order,
        report=report,
    )


def open_data(
    options: DataOptions,
    split: str,
    variant: str = "original",
    *,
    checked: bool = True,
    report: Report = raise_fault,
) -> Dataset:
    """Open a split of the data set of the options.

    Args:
        options: The data set, and options to open it.
        split: One of its splits.
        variant: One of its background variants.
        checked: Whether to check that every label is a class.
        report: Receives faults that leave a part of it readable.

    Raises:
        InputError: The data set is missing, not valid, or has no images in that split.
    """
    request = data_request(options, split, variant, report)
    dataset = open_dataset(options.data, request, options.fraction, options.limit)
    if len(dataset.sample_ids) == 0:
        raise AbsentError(
            split_name(options.data, split),
            expected="at least one image",
            got="none",
            fix="choose another --split or --data",
        )
    if checked:
        check_label_range(dataset)
    return dataset


def view_options(uri: str, view: ViewOptions) -> DataOptions:
    """Return the options that open the data set of a URI with the view `view`."""
    return DataOptions(data=uri, **view.model_dump(include=set(ViewOptions.model_fields)))


def source_options(source: DataSource) -> DataOptions:
    """Return the options that open the data set of an artifact again."""
    return DataOptions(data=source.data, **source.options)


def reopen_data(source: DataSource, where: Path) -> Dataset:
    """Open the data set of an artifact again.

    Args:
        source: The data set in the manifest of the artifact.
        where: The artifact, for the error message.

    Raises:
        InputError: The data are missing, or have changed.
    """
    dataset = open_data(source_options(source), source.split)
    if dataset.fingerprint != source.fingerprint:
        raise InputError(
            split_name(source.data, source.split),
            expected=f"the data of {where}, fingerprint {short(source.fingerprint)}",
            got=short(dataset.fingerprint),
            fix="point ECTOOL_DATA or the data set's path at the same data",
        )
    return dataset


def data_source(options: DataOptions, split: str, dataset: Dataset) -> DataSource:
    """Describe an open data set for the manifest."""
    names = set(DataOptions.model_fields) - {"data"}
    if options.max_pixels == MAX_PIXELS:
        names -= {"max_pixels"}  # manifests of earlier versions do not have it
    return DataSource(
        data=options.data,
        split=split,
        options=options.model_dump(mode="json", include=names),
        fingerprint=dataset.fingerprint,
    )


def parent_of(role: str, path: Path, kind: str, id: str, output: Path) -> Parent:
    """Describe an input for the manifest."""
    return Parent(role=role, kind=kind, id=id, path=hint_of(path, output))


def hint_of(path: Path, output: Path) -> str:
    """Return how the manifest of an output names an input.

    An address; or a path, which is relative to the folder of the output if both are here.
    """
    if (url := urls.url_of(path)) is not None:
        return url
    if urls.url_of(output) is not None:
        return path.absolute().as_posix()
    return Path(os.path.relpath(path.absolute(), output.absolute().parent)).as_posix()


def artifact_parent(role: str, artifact: Artifact, output: Path) -> Parent:
    """Describe an array artifact as an input."""
    return parent_of(role, artifact.path, artifact.kind, artifact.id, output)


def check_same_labels(
    samples: Artifact, dataset: Dataset, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    """Check that samples have the labels of a data set, and so the same order of classes.

    Args:
        samples: An artifact with labels.
        dataset: The data set it is joined with.
        rows: Rows of the artifact, and the joined rows of the data set.

    Raises:
        InputError: A sample has another label; the message names the first.
    """
    theirs, ours = samples.read("label")[rows[0]], dataset.labels[rows[1]]
    if theirs.shape != ours.shape:
        expected, got = f"labels of shape {ours.shape}", str(theirs.shape)
    else:
        known = (theirs != NO_TARGET) & (ours != NO_TARGET)
        differs = ((theirs != ours) & known).any(axis=tuple(range(1, ours.ndim)))
        if not differs.any():
            return
        first = int(differs.argmax())
        expected = (
            f"{ours[first]} for {dataset.sample_ids[int(rows[1][first])]!r} as in {dataset.name}"
        )
        got = f"{theirs[first]} ({int(differs.sum())} such samples)"
    raise InputError(
        f"{samples.path}: label",
        expected=expected,
        got=got,
        fix="number the classes in the order of the data set (see --class-order)",
    )


def positions(required: list[str], known: list[str], where: str, fix: str) -> np.ndarray:
    """Return the position of each required sample among the known ones.

    Raises:
        InputError: A required sample is missing; the message names the first.
    """
    index = {name: row for row, name in enumerate(known)}
    missing = [name for name in required if name not in index]
    if missing:
        raise InputError(
            where,
            expected=f"all {len(required)} samples",
            got=f"{len(missing)} missing, the first {missing[0]!r}",
            fix=fix,
        )
    return np.array([index[name] for name in required], dtype=np.int64)
