"""The data sets by name, and opening the one that a data URI names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ectool.datasets.base import DataRequest, Dataset
from ectool.datasets.catalogue import DataSetEntry, unknown_name
from ectool.datasets.generated.digits import DIGITS
from ectool.datasets.generated.letters import LETTERS_OVER_PHOTOGRAPHS
from ectool.datasets.own.csv_images import CSV
from ectool.datasets.own.hf_dataset import HUGGING_FACE
from ectool.datasets.own.imagefolder import IMAGE_FOLDER
from ectool.datasets.own.stored import STORED
from ectool.datasets.published.cub200 import CUB200
from ectool.datasets.published.imagenet9 import IMAGENET9
from ectool.datasets.published.stl10 import STL10
from ectool.datasets.published.torchvision_sets import TORCHVISION
from ectool.datasets.published.voc import VOC2007, VOC2012
from ectool.datasets.sample_ids import check_class_names, check_sample_ids
from ectool.datasets.subset import fraction_of, limited
from ectool.errors import InputError

DATASETS: dict[str, DataSetEntry] = {
    "csv": CSV,
    "cub200": CUB200,
    "digits": DIGITS,
    "hf": HUGGING_FACE,
    "imagefolder": IMAGE_FOLDER,
    "imagenet9": IMAGENET9,
    "letters": LETTERS_OVER_PHOTOGRAPHS,
    "stl10": STL10,
    "torchvision": TORCHVISION,
    "voc2007": VOC2007,
    "voc2012": VOC2012,
    "zarr": STORED,
}


def open_dataset(
    uri: str, request: DataRequest, fraction: float = 1.0, limit: int | None = None
) -> Dataset:
    """Open one split and variant of a data set.

    Args:
        uri: ``NAME`` or ``NAME:PATH``, e.g. ``digits`` or ``imagefolder:~/birds``.
        request: Split, variant and options; its path is taken from the URI.
        fraction: Share of the images of a training split that is kept, in (0, 1].
        limit: Maximum number of images of any split; None for all.

    Returns:
        The data set.

    Raises:
        InputError: Name, split, variant or files do not exist or are invalid.
    """
    entry = find_entry(uri)
    if request.variant not in entry.variants:
        raise unknown_name(f"variant of {uri}", request.variant, entry.variants)
    if request.fold is not None and not entry.has_folds:
        raise InputError(
            f"--fold {request.fold}",
            expected="a data set with predefined folds, such as stl10",
            got=uri,
            fix="leave it out",
        )
    dataset = entry.open(replace(request, path=uri.partition(":")[2]))
    where = uri if request.variant == "original" else f"{uri}, {request.variant},"
    check_class_names(where, dataset.classes, request.report)
    check_sample_ids(where, dataset, request.report)
    if "train" in request.split:
        dataset = fraction_of(dataset, fraction, request.seed)
    return limited(dataset, limit, request.seed)


def check_more(uri: str, request: DataRequest) -> None:
    """Report the faults of files that belong to no split of a data set.

    Args:
        uri: ``NAME`` or ``NAME:PATH``.
        request: Its split and report are used; its path is taken from the URI.
    """
    check = find_entry(uri).check_more
    if check is not None:
        check(replace(request, path=uri.partition(":")[2]))


def find_entry(uri: str) -> DataSetEntry:
    """Return the description of the data set that a URI names.

    Raises:
        InputError: There is no data set of that name.
    """
    name = uri.partition(":")[0]
    if name not in DATASETS:
        raise _without_name(uri) or unknown_name("data set", name, tuple(DATASETS))
    return DATASETS[name]


def _without_name(uri: str) -> InputError | None:
    """Return the error for a path without the name of a data set; None if it is no path."""
    path = Path(uri).expanduser()
    if uri == "" or not path.exists():
        return None
    by_suffix = {".csv": "csv", ".zarr": "zarr", ".h5": "zarr", ".hdf5": "zarr"}
    name = by_suffix.get(path.suffix, "imagefolder" if path.is_dir() else "csv")
    return InputError(
        f"data set {uri}",
        expected="NAME or NAME:PATH",
        got="a path without a name",
        fix=f"did you mean {name}:{uri}? see `ectool data list`",
    )
