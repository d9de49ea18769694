"""Handwritten digits over textures that are correlated with the class; generated locally.

The background variants are those of the ImageNet-9 Backgrounds Challenge (Xiao et al., "Noise or
Signal", ICLR 2021), with texture families instead of the backgrounds of other images.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from ectool.datasets.base import (
    SPLITS,
    VARIANTS,
    Annotations,
    DataRequest,
    Dataset,
    Framing,
    Groups,
    Indices,
)
from ectool.datasets.catalogue import DataSetEntry, unknown_name, unknown_split
from ectool.datasets.image_arrays import framed
from ectool.datasets.published.digit_images import SIDE, Draw
from ectool.datasets.published.digit_records import (
    COUNTS,
    RECORD,
    SOURCE_SHA256,
    Records,
    is_own,
    make_records,
)
from ectool.errors import InputError, MachineError

GENERATOR_VERSION = 2
CLASSES = tuple(str(digit) for digit in range(10))
BACKGROUNDS = ("own", "other")
DIGEST_BYTES = hashlib.sha256().digest_size


def open_digits(request: DataRequest) -> Dataset:
    """Open one split and variant of the embedded data set.

    Args:
        request: ``view`` is ignored, images are 32 pixels wide. ``rho`` is the share of
            ``original`` images (of every split) whose background family equals the class; the
            others have one of the nine other families. ``seed`` determines everything except the
            split.

    Returns:
        The data set; its images are generated on first use and cached in ``request.root``.

    Raises:
        InputError: The path is not empty, the split or variant is unknown, or rho is outside of
            [0, 1].
    """
    _check(request)
    return Digits(request)


def _check(request: DataRequest) -> None:
    if request.path:
        raise InputError(
            "data set digits", expected="no path", got=repr(request.path), fix="write `digits`"
        )
    if request.split not in SPLITS:
        raise unknown_split("digits", request.split, SPLITS)
    if request.variant not in VARIANTS:
        raise unknown_name("variant of digits", request.variant, VARIANTS)
    if not 0.0 <= request.rho <= 1.0:
        raise InputError(
            "rho of digits", expected="a share in [0, 1]", got=str(request.rho), fix="change --rho"
        )


class Digits:
    """One split and variant of the digits, read from a memory-mapped cache file.

    Args:
        request: A checked request.
    """

    def __init__(self, request: DataRequest) -> None:
        self._request = request

    @property
    def name(self) -> str:
        """Return the short name, e.g. ``digits/test/mixed_rand``."""
        return f"digits/{self._request.split}/{self._request.variant}"

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the ten digits."""
        return CLASSES

    @cached_property
    def sample_ids(self) -> Sequence[str]:
        """Return ``digits/SPLIT/NUMBER``; the same digit has the same id in every variant."""
        split = self._request.split
        return tuple(f"digits/{split}/{number:04d}" for number in range(COUNTS[split]))

    @property
    def labels(self) -> Int64[np.ndarray, "n"]:
        """Return the digit on every image."""
        return self._records["label"].astype(np.int64)

    @cached_property
    def groups(self) -> Groups:
        """Return the groups: class, and whether the background is of its family or another one.

        The background is that of the `original` image in every variant.
        """
        request, labels = self._request, self.labels
        names = tuple(f"{digit}, {kind} background" for digit in CLASSES for kind in BACKGROUNDS)
        draws = (Draw(request.seed, sample_id) for sample_id in self.sample_ids)
        is_other = np.array([not is_own(draw, request.rho) for draw in draws], np.int64)
        return Groups(names, len(BACKGROUNDS) * labels + is_other)

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return SIDE, SIDE

    @property
    def fingerprint(self) -> str:
        """Return the hash of the generator's version, its source and its parameters."""
        parts = {
            "data": "digits",
            "generator": GENERATOR_VERSION,
            "source": SOURCE_SHA256,
            "split": self._request.split,
            "variant": self._request.variant,
            "rho": float(self._request.rho),
            "seed": int(self._request.seed),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def images(
        self, indices: Indices, framing: Framing | None = None
    ) -> UInt8[np.ndarray, "b 3 h w"]:
        """Return RGB images, 0 to 255, or the parts of them that `framing` returns."""
        images = np.asarray(self._records["image"][indices])
        return images if framing is None else framed(images, indices, framing)

    def annotations(self, indices: Indices, targets: Indices | None = None) -> Annotations:  # noqa: ARG002 (one object each)
        """Return mask and box of the digit, also in variants that show only the background."""
        records = self._records[indices]
        boxes = records["box"].astype(np.int64)[:, None]
        return Annotations(masks=np.asarray(records["mask"]), boxes=list(boxes))

    @cached_property
    def _records(self) -> Records:
        path = self._request.root / "digits" / f"{self.fingerprint}.bin"
        count = COUNTS[self._request.split]
        if not _is_intact(path, count):
            with _writing(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)  # before the slow part
                _publish(path, make_records(self._request).tobytes())
        return np.memmap(path, dtype=RECORD, mode="r", shape=(count,))


def _is_intact(path: Path, count: int) -> bool:
    """Return whether the cache file is complete and ends with the digest of its contents."""
    if not path.is_file():
        return False
    content = path.read_bytes()
    payload, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    return len(payload) == count * RECORD.itemsize and hashlib.sha256(payload).digest() == digest


def _publish(path: Path, payload: bytes) -> None:
    """Write payload and digest; other processes see either the old or the new file."""
    partial = path.with_name(f"{path.name}.partial-{uuid.uuid4().hex}")
    with partial.open("xb") as file:
        file.write(payload + hashlib.sha256(payload).digest())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MachineError(
            str(folder),
            expected="a folder that can be written",
            got=error.strerror or str(error),
            fix="set ECTOOL_DATA to another folder",
        ) from error


DIGITS = DataSetEntry(
    open=open_digits,
    summary="Handwritten digits over textures that are correlated with the class; generated.",
    uri="digits",
    variants=VARIANTS,
)
