"""`open` any artifact as arrays by name, or as a data set of xarray; without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ectool.api.options import named_as_arguments
from ectool.artifacts import folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import FILE_NAME
from ectool.artifacts.schema import SAMPLE, as_objects, spec_of
from ectool.artifacts.store import HDF5_SUFFIXES, ZARR_SUFFIX
from ectool.errors import InputError, IntegrityError, MachineError
from ectool.parsing import read_object
from ectool.stages.common.layout import SPEC_FILE, WEIGHTS_FILE
from ectool.stages.evaluate.results import read_results

if TYPE_CHECKING:
    import xarray

Values = np.ndarray[Any, Any]
METRIC = "metric"


class Source(Protocol):
    """Where the arrays of an artifact come from."""

    names: list[str]

    def read(self, name: str) -> Values:
        """Return an array."""
        ...

    def dims(self, name: str, ndim: int) -> tuple[str, ...]:
        """Return the names of the dimensions of an array."""
        ...


class Opened(Mapping[str, Values]):
    """An open artifact: arrays by name, each read when it is used and compared with its digest.

    Attributes:
        path: Its path.
        kind: Its schema: ``samples``, ``heatmaps``, ``weights``, ``predictions``, …, ``model`` or
            ``evaluation``.
        attributes: Its other content as JSON values: names of the classes; the description of a
            model; the results of an evaluation.
    """

    def __init__(
        self, path: Path, kind: str, attributes: Mapping[str, Any], source: Source
    ) -> None:
        self.path = path
        self.kind = kind
        self.attributes = MappingProxyType(dict(attributes))
        self._source = source

    def __getitem__(self, name: str) -> Values:
        if name not in self._source.names:
            raise KeyError(f"{name!r}; there are {', '.join(self)}")
        return self._source.read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._source.names)

    def __len__(self) -> int:
        return len(self._source.names)

    def __repr__(self) -> str:
        return f"ectool.Opened({str(self.path)!r}, {self.kind}: {', '.join(self)})"

    def to_xarray(self) -> xarray.Dataset:
        """Return the arrays as a data set of xarray, with sample ids and classes as coordinates.

        Raises:
            MachineError: xarray is not installed.
        """
        found = imported("xarray")
        arrays = dict(self)
        dims = {name: self._source.dims(name, values.ndim) for name, values in arrays.items()}
        labels = self._labels(arrays, dims)
        variables = {
            name: (dims[name], as_objects(values))
            for name, values in arrays.items()
            if name not in ("sample_id", METRIC)
        }
        dataset: xarray.Dataset = found.Dataset(variables, labels, {"kind": self.kind})
        return dataset

    def _labels(
        self, arrays: Mapping[str, Values], dims: Mapping[str, tuple[str, ...]]
    ) -> dict[str, Values]:
        """Return the coordinates: sample ids, names of the classes, names of metrics."""
        found = {SAMPLE: as_objects(arrays["sample_id"])} if "sample_id" in arrays else {}
        if METRIC in arrays:
            found[METRIC] = as_objects(arrays[METRIC])
        classes = self.attributes.get("classes", ())
        lengths = {
            length
            for name, values in arrays.items()
            for dim, length in zip(dims[name], values.shape, strict=True)
            if dim == "class"
        }
        if lengths == {len(classes)}:
            found["class"] = np.array(classes, object)
        return found


@named_as_arguments
def open(path: str | PathLike[str]) -> Opened:
    """Open an artifact: a ``.zarr``, an ``.h5``, a model, or an evaluation.

    Args:
        path: Its path.

    Returns:
        Its arrays by name. An evaluation has its metrics (``metric``, ``value``, ``low``, ``high``,
        ``n``), and is an :class:`ectool.Evaluation`.

    Raises:
        InputError: There is no such artifact.
        IntegrityError: It has changed since it was written; arrays are compared when they are read.
    """
    place = Path(path).expanduser()
    if place.suffix in (ZARR_SUFFIX, *HDF5_SUFFIXES):
        artifact = Artifact(place)
        return Opened(place, artifact.kind, _attributes(artifact), Columns(artifact))
    kind = folder.open_folder(place, None).kind if (place / FILE_NAME).exists() else None
    if kind == "model":
        return Opened(place, kind, _description(place), Weights(place))
    if kind == "evaluation":
        from ectool.api.evaluation import Evaluation

        return Evaluation(read_results(place), place)
    got = f"a folder of kind {kind}" if kind else f"a path without {FILE_NAME}"
    raise InputError(
        str(path),
        expected="a .zarr, an .h5, a model or an evaluation",
        got=got if place.exists() else "no such file",
        fix="check the path, or run the stage that makes it",
    )


def _attributes(artifact: Artifact) -> dict[str, Any]:
    stored = artifact.store.attributes
    return {name: value for name, value in stored.items() if name not in ("schema", "version")}


class Columns:
    """Arrays of a Zarr folder or an HDF5 file."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.names = sorted(artifact.arrays)

    def read(self, name: str) -> Values:
        """Return an array; text as Python strings."""
        return as_objects(self.artifact.read(name))

    def dims(self, name: str, ndim: int) -> tuple[str, ...]:
        """Return the dimensions of the schema; numbered ones for other arrays."""
        spec = spec_of(self.artifact.kind, name)
        known = None if spec is None else spec.dims_of(ndim)
        return _numbered(name, ndim) if known is None else known


class Weights:
    """Weights of a model by name."""

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        self.file = folder.verify_file(path / WEIGHTS_FILE, folder.open_folder(path, "model"))
        self._open: Callable[..., Any] = safe_open
        with self._open(self.file, framework="numpy") as weights:
            self.names = list(weights.keys())

    def read(self, name: str) -> Values:
        """Return a tensor."""
        with self._open(self.file, framework="numpy") as weights:
            values: Values = weights.get_tensor(name)
        return values

    def dims(self, name: str, ndim: int) -> tuple[str, ...]:
        """Return numbered dimensions."""
        return _numbered(name, ndim)


class Table:
    """Columns of one dimension."""

    def __init__(self, columns: Mapping[str, Values], dim: str) -> None:
        self.columns = columns
        self.names = list(columns)
        self.dim = dim

    def read(self, name: str) -> Values:
        """Return a column."""
        return self.columns[name]

    def dims(self, _name: str, _ndim: int) -> tuple[str, ...]:
        """Return the one dimension."""
        return (self.dim,)


def _description(path: Path) -> dict[str, Any]:
    file = folder.verify_file(path / SPEC_FILE, folder.open_folder(path, "model"))
    return read_object(file, kind=IntegrityError)


def _numbered(name: str, ndim: int) -> tuple[str, ...]:
    return tuple(f"{name}_{axis}" for axis in range(ndim))


def imported(package: str) -> Any:  # noqa: ANN401 (a module)
    """Import an optional package.

    Raises:
        MachineError: It is not installed.
    """
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MachineError(
            package,
            expected=f"the package {package}",
            got=f"no such package ({error})",
            fix="pip install 'ectool[xarray]'",
        ) from None
