"""Schemas of array artifacts: names, types and dimensions of arrays.

`docs/artifacts.md` describes them for authors of other programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ectool.errors import InputError

Arrays = Mapping[str, np.ndarray[Any, Any]]
"""Arrays by name, all with the sample as axis 0."""

VERSION = 1
FOREIGN = "foreign"
"""Root attribute of a Zarr copy of an artifact of another program, which has no manifest."""
SAMPLE = "sample"
"""Name of axis 0 of every array."""


@dataclass(frozen=True)
class ArraySpec:
    """One array of a schema.

    Attributes:
        kinds: Accepted numpy kinds: `f` float, `i` signed, `u` unsigned, `b` bool, `T` text.
        dims: Dimension names, axis 0 first; those that end in `?` exist only in multi-label data.
        required: Whether an artifact without it is invalid.
        finite: Whether NaN and infinity are refused.
        negative: Whether numbers below zero are accepted.
        raw: Whether Zarr stores it uncompressed, so that single rows can be read.
        by_row: Whether Zarr compresses its rows one by one, so that single rows can be read.
        unless: Another array; an artifact that has it may lack this one.
    """

    kinds: str
    dims: tuple[str, ...]
    required: bool = True
    finite: bool = True
    negative: bool = True
    raw: bool = False
    by_row: bool = False
    unless: str = ""

    def dims_of(self, ndim: int) -> tuple[str, ...] | None:
        """Return the names of the dimensions of an array, or None if their number is not valid."""
        single = tuple(dim for dim in self.dims if not dim.endswith("?"))
        multi = tuple(dim.removesuffix("?") for dim in self.dims)
        return next((dims for dims in (single, multi) if len(dims) == ndim), None)


ID = ArraySpec("T", (SAMPLE,))
LABEL = ArraySpec("iu", (SAMPLE, "class?"))
MAPS = (SAMPLE, "target?", "map_height", "map_width")
LOGITS = ArraySpec("f", (SAMPLE, "class"))
IMAGES = ("channel", "height", "width")
SCORE = ArraySpec("f", (SAMPLE,), finite=False)
LABEL_SCORE = ArraySpec("f", (SAMPLE, "target?"), finite=False)

SCHEMAS: Mapping[str, Mapping[str, ArraySpec]] = {
    "pictures": {
        "sample_id": ID,
        "label": LABEL,
        "image": ArraySpec("u", (SAMPLE, *IMAGES), raw=True),
        "mask": ArraySpec("b", (SAMPLE, "height", "width"), required=False),
        "box": ArraySpec("iu", (SAMPLE, "object", "corner"), required=False),
        "box_class": ArraySpec("iu", (SAMPLE, "object"), required=False),
    },
    "samples": {
        "sample_id": ID,
        "label": LABEL,
        "image": ArraySpec("u", (SAMPLE, *IMAGES), raw=True, unless="difference"),
        "difference": ArraySpec("u", (SAMPLE, "byte"), required=False, by_row=True),
        "background": ArraySpec("b", (SAMPLE, "height", "width")),
        "logits_clean": LOGITS,
        "logits_adversarial": LOGITS,
    },
    "heatmaps": {
        "sample_id": ID,
        "label": LABEL,
        "target": ArraySpec("iu", (SAMPLE, "target?")),
        "clean": ArraySpec("f", MAPS, negative=False),
        "adversarial": ArraySpec("f", MAPS, negative=False, required=False),
        "logits_clean": LOGITS,
        "logits_adversarial": ArraySpec("f", (SAMPLE, "class"), required=False),
    },
    "weights": {
        "sample_id": ID,
        "similarity": LABEL_SCORE,
        "stability": LABEL_SCORE,
        "explanation_consistency": SCORE,
        "weight": ArraySpec("f", (SAMPLE,)),
    },
    "challenge": {
        "sample_id": ID,
        "label": LABEL,
        "robust": ArraySpec("b", (SAMPLE,)),
    },
    "predictions": {
        "sample_id": ID,
        "label": LABEL,
        "*/logits": LOGITS,
    },
    "sanity": {
        "sample_id": ID,
        "label": LABEL,
        "draw": ArraySpec("iu", (SAMPLE,), required=False),
        "*/rank_correlation": SCORE,
        "*/ssim": SCORE,
    },
    "stability": {
        "sample_id": ID,
        "label": LABEL,
        "consistency_attack": SCORE,
        "consistency_noise": SCORE,
        "consistency_jpeg": SCORE,
        "sensitivity_max": SCORE,
    },
    "agreement": {
        "sample_id": ID,
        "label": LABEL,
        "rank_correlation": SCORE,
        "ssim": SCORE,
        "top_iou": SCORE,
    },
    "filters": {
        "sample_id": ID,
        "label": LABEL,
        "maps": ArraySpec("f", (SAMPLE, "filter", "map_height", "map_width"), negative=False),
    },
    "faithfulness": {
        "sample_id": ID,
        "label": LABEL,
        "*/deletion": ArraySpec("f", (SAMPLE, "step")),
        "*/insertion": ArraySpec("f", (SAMPLE, "step")),
        "*/pixel_flipping": ArraySpec("f", (SAMPLE, "patch")),
        "*/road_morf": ArraySpec("b", (SAMPLE, "share")),
        "*/road_lerf": ArraySpec("b", (SAMPLE, "share")),
        "*/average_drop": SCORE,
        "*/increase_in_confidence": SCORE,
    },
}
"""Array specifications by schema; `*/logits` stands for one array per condition."""


@dataclass(frozen=True)
class ArrayInfo:
    """Shape and kind of a stored array."""

    shape: tuple[int, ...]
    dtype: str
    kind: str


def spec_of(schema: str, array: str) -> ArraySpec | None:
    """Return the specification of an array, or None if it is not in the schema."""
    specs = SCHEMAS[schema]
    return specs.get(array) or specs.get("*/" + array.rpartition("/")[2])


def check_finite(
    schema: str, array: str, values: np.ndarray[Any, Any], subject: str, start: int
) -> None:
    """Check that rows of an array have no NaN, infinity or negative numbers, if required.

    Args:
        schema: Schema of the artifact.
        array: Name of the array.
        values: Its rows from `start` on.
        subject: Subject of the error message.
        start: Number of the first row.

    Raises:
        InputError: A row has one; the message names the first such row.
    """
    spec = spec_of(schema, array)
    if spec is None or not spec.finite or values.dtype.kind != "f":
        return
    rows = tuple(range(1, values.ndim))
    finite = np.isfinite(values).all(axis=rows)
    if not finite.all():
        raise InputError(
            subject,
            expected="finite numbers",
            got=f"NaN or infinity at row {start + int(np.argmin(finite))}",
            fix="check the model and the input of the stage that writes it",
        )
    if not spec.negative and values.size and values.min() < 0:
        lowest = values.min(axis=rows)
        raise InputError(
            subject,
            expected="numbers of at least 0",
            got=f"{lowest[lowest < 0][0]:g} at row {start + int(np.argmax(lowest < 0))}",
            fix="write the positive part of the heatmaps: max(0, map), not shifted",
        )


def check(schema: str, found: Mapping[str, ArrayInfo], where: str) -> None:
    """Check stored arrays against a schema; other arrays are ignored.

    Raises:
        InputError: An array is missing, has another type or number of dimensions, or the
            lengths of a dimension disagree.
    """
    lengths: dict[str, tuple[int, str]] = {}
    for name, spec in SCHEMAS[schema].items():
        if spec.required and "*" not in name and not {name, spec.unless} & found.keys():
            raise InputError(
                f"{where}: {name}",
                expected=f"the array `{name}` of a {schema} artifact",
                got="arrays " + (", ".join(sorted(found)) or "(none)"),
                fix="write it as docs/artifacts.md describes",
            )
    for name, info in found.items():
        known = spec_of(schema, name)
        if known is not None:
            _check_array(f"{where}: {name}", known, info, lengths)


def _check_array(
    subject: str, spec: ArraySpec, info: ArrayInfo, lengths: dict[str, tuple[int, str]]
) -> None:
    """Check one array, and record the lengths of its dimensions in `lengths`."""
    dims = spec.dims_of(len(info.shape))
    if info.kind not in spec.kinds or dims is None:
        raise InputError(
            subject,
            expected=f"kind {' or '.join(spec.kinds)} with dimensions {spec.dims}",
            got=f"{info.dtype} of shape {info.shape}",
            fix="write it as docs/artifacts.md describes",
        )
    for dim in (dim for dim in spec.dims if dim.endswith("?")):
        has = int(dim.removesuffix("?") in dims)
        known, other = lengths.setdefault(dim, (has, subject))
        if known != has:
            raise InputError(
                subject,
                expected=f"{'a' if known else 'no'} dimension `{dim.removesuffix('?')}` as in "
                + other.rpartition(": ")[2],
                got=f"{info.dtype} of shape {info.shape}",
                fix="write all arrays as single-label or all as multi-label",
            )
    for dim, length in zip(dims, info.shape, strict=True):
        known, other = lengths.setdefault(dim, (length, subject))
        if known != length:
            raise InputError(
                subject,
                expected=f"{known} along `{dim}` as in {other.rpartition(': ')[2]}",
                got=str(length),
                fix="write arrays of one length",
            )


def kind_of(dtype: np.dtype[Any]) -> str:
    """Return numpy's kind of a type; `T` for every kind of text."""
    return "T" if dtype.kind in "TUSO" else dtype.kind


def native(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return numbers in the byte order of this machine, which torch requires."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def as_objects(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return text as Python strings, which every library reads; other arrays unchanged."""
    return values.astype(object) if values.dtype.kind == "T" else values


def as_text(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return text of any of numpy's kinds as numpy strings.

    Raises:
        UnicodeDecodeError: Bytes are not UTF-8.
    """
    if values.dtype.kind in "SO":
        decoded = [v.decode() if isinstance(v, bytes) else str(v) for v in values.reshape(-1)]
        values = np.array(decoded, np.dtypes.StringDType()).reshape(values.shape)
    return values.astype(np.dtypes.StringDType())
