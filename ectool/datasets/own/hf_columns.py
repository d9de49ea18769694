"""The columns of a Hugging Face data set: which one is what, and their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ectool.datasets.own.hf_tables import Rows
from ectool.datasets.own.table_rows import BOX
from ectool.errors import InputError, listed

IMAGE, IMAGES = "image", ("image", "img")
LABEL, LABELS = "label", ("label", "labels")
MASK, GROUP = "mask", "group"
IDS = ("sample_id", "id")
_TEXT = ("string", "large_string", "string_view")


@dataclass(frozen=True)
class Column:
    """A column whose values are names of classes or groups.

    Attributes:
        name: Its name.
        names: Names that integers index into; None if the values are themselves the names.
        is_list: Whether each row has a list of values.
    """

    name: str
    names: tuple[str, ...] | None = None
    is_list: bool = False

    def values(self, rows: Rows) -> list[Any]:
        """Return the value of each row, or a list of values.

        Returns:
            Names; integers where :attr:`names` lists the names; None for empty cells.
        """
        found = rows.data.column(self.name).to_pylist()
        return found if self.names is not None else [_as_text(value) for value in found]


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are.

    Attributes:
        image: Encoded images.
        label: Classes.
        mask: Encoded masks, or None.
        group: Groups, or None.
        sample_id: Names of the rows, or None.
        has_boxes: Whether the columns x0, y0, x1, y1 exist.
    """

    image: str
    label: Column
    mask: str | None = None
    group: Column | None = None
    sample_id: str | None = None
    has_boxes: bool = False


def find_columns(where: str, rows: Rows) -> Columns:
    """Find the columns of images, labels and annotations by their features and names.

    Raises:
        InputError: There is no column of images or labels, or several without a usual name, or a
            column of a usual name has another type.
    """
    import datasets

    features = rows.features
    images = [name for name, one in features.items() if isinstance(one, datasets.Image)]
    classes = [name for name, one in features.items() if _is_class(datasets, one)]
    label = _only(
        where,
        [name for name in LABELS if name in features] or [n for n in classes if n != GROUP],
        "one column of labels (ClassLabel, text or integers)",
        features,
        f'ds.rename_column("OLD", "{LABEL}")',
    )
    image = _only(
        where,
        [name for name in IMAGES if name in images] or [n for n in images if n != MASK],
        "one column of images (datasets.Image)",
        features,
        f'ds.cast_column("{IMAGE}", datasets.Image())',
    )
    has_boxes = _has_boxes(where, features)
    if MASK in features and MASK not in images:
        raise InputError(
            f"{where}: column {MASK}",
            expected="images (datasets.Image)",
            got=str(features[MASK]),
            fix=f'ds.cast_column("{MASK}", datasets.Image()), or rename it, then save it again',
        )
    return Columns(
        image=image,
        label=_column(datasets, where, label, features[label]),
        mask=MASK if MASK in images else None,
        group=_column(datasets, where, GROUP, features[GROUP]) if GROUP in features else None,
        sample_id=next((name for name in IDS if _is_name(features.get(name))), None),
        has_boxes=has_boxes,
    )


def read_boxes(rows: Rows) -> Float[np.ndarray, "n 4"]:
    """Return the boxes (x0, y0, x1, y1) of all rows, NaN for empty cells."""
    columns = [rows.data.column(edge).to_pylist() for edge in BOX]
    return np.array(columns, np.float64).reshape(len(BOX), -1).T


def _as_text(value: Any) -> Any:  # noqa: ANN401 (values of a table)
    if isinstance(value, list):
        return [_as_text(one) for one in value]
    return None if value is None else str(value)


def _only(
    where: str, found: Sequence[str], expected: str, features: Sequence[str], fix: str
) -> str:
    if len(found) == 1:
        return found[0]
    raise InputError(
        where,
        expected=expected,
        got=f"the columns {listed(list(found or features))}" if features else "no columns",
        fix=f"{fix}, then save it again",
    )


def _has_boxes(where: str, features: Any) -> bool:  # noqa: ANN401 (datasets.Features)
    edges = [edge for edge in BOX if edge in features]
    wrong = [edge for edge in edges if not _is_number(features[edge])]
    if wrong or len(edges) not in (0, len(BOX)):
        raise InputError(
            where,
            expected=f"all columns {', '.join(BOX)}, of numbers, or none of them",
            got=f"{wrong[0]} of another type" if wrong else ", ".join(edges),
            fix="correct the columns, or rename them if they are no boxes",
        )
    return bool(edges)


def _column(datasets: Any, where: str, name: str, feature: Any) -> Column:  # noqa: ANN401
    """Return a column of classes or groups."""
    element = _element(feature)
    is_list = element is not None
    value = element if is_list else feature
    if isinstance(value, datasets.ClassLabel) and value.names:
        return Column(name, tuple(value.names), is_list)
    if _is_name(value) and not (is_list and name == GROUP):
        return Column(name, None, is_list)
    raise InputError(
        f"{where}: column {name}",
        expected="ClassLabel, text or integers" + ("" if name == GROUP else ", or lists of them"),
        got=str(feature),
        fix="cast the column, then save the data set again",
    )


def _is_class(datasets: Any, feature: Any) -> bool:  # noqa: ANN401
    value = _element(feature) or feature
    return isinstance(value, datasets.ClassLabel)


def _element(feature: Any) -> Any:  # noqa: ANN401
    """Return the feature of the elements of a list; None for others."""
    if isinstance(feature, list):
        return feature[0]
    return getattr(feature, "feature", None)


def _kind(feature: Any) -> str:  # noqa: ANN401
    """Return the type of single values; empty for arrays, lists and structures."""
    is_array = hasattr(feature, "shape")
    return "" if is_array else str(getattr(feature, "dtype", ""))


def _is_name(feature: Any) -> bool:  # noqa: ANN401
    """Return whether values are text or integers."""
    kind = _kind(feature)
    return kind in _TEXT or kind.startswith(("int", "uint"))


def _is_number(feature: Any) -> bool:  # noqa: ANN401
    return _kind(feature).startswith(("int", "uint", "float"))
