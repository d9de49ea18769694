"""Data sets that ectool generates: one split and variant, from a memory-mapped cache file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from ectool.datasets.base import SPLITS, Annotations, DataRequest, Framing, Groups, Indices
from ectool.datasets.catalogue import unknown_name, unknown_split
from ectool.datasets.generated.composition import Draw, Records, is_own, record_type
from ectool.datasets.image_arrays import framed
from ectool.errors import InputError, MachineError
from ectool.writing import remove_unfinished, write_atomic

BACKGROUNDS = ("own", "other")
DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Recipe:
    """How the images of a data set are generated.

    Attributes:
        name: Name of the data set.
        classes: Class names; the family of backgrounds of the same number belongs to a class.
        counts: Number of images of each split.
        side: Side of the images in pixels.
        variants: Its background variants.
        generator: Version of the code that draws the images.
        source: SHA-256 (hex) of what the images are drawn from.
        make: Draws all images of a checked request.
    """

    name: str
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    side: int
    variants: tuple[str, ...]
    generator: int
    source: str
    make: Callable[[DataRequest], Records]


def sample_name(recipe_name: str, split: str, number: int) -> str:
    """Return the id of a sample, ``NAME/SPLIT/NUMBER``."""
    return f"{recipe_name}/{split}/{number:04d}"


def check_request(request: DataRequest, name: str, variants: Sequence[str]) -> None:
    """Check the options that generated data sets share.

    Args:
        request: What is asked for.
        name: Name of the data set.
        variants: Its background variants.

    Raises:
        InputError: The path is not empty, the split or variant is unknown, or rho is outside of
            [0, 1].
    """
    if request.path:
        raise InputError(
            f"data set {name}", expected="no path", got=repr(request.path), fix=f"write `{name}`"
        )
    if request.split not in SPLITS:
        raise unknown_split(name, request.split, SPLITS)
    if request.variant not in variants:
        raise unknown_name(f"variant of {name}", request.variant, variants)
    if not 0.0 <= request.rho <= 1.0:
        raise InputError(
            f"rho of {name}",
            expected="a share in [0, 1]",
            got=str(request.rho),
            fix="change --rho",
        )


class Generated:
    """One split and variant, generated on first use and read from a memory-mapped cache file.

    Args:
        request: What to open.
        recipe: How its images are made.

    Raises:
        InputError: See :func:`check_request`.
    """

    def __init__(self, request: DataRequest, recipe: Recipe) -> None:
        check_request(request, recipe.name, recipe.variants)
        self._request = request
        self._recipe = recipe

    @property
    def name(self) -> str:
        """Return the short name, e.g. ``digits/test/mixed_rand``."""
        return f"{self._recipe.name}/{self._request.split}/{self._request.variant}"

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the class names."""
        return self._recipe.classes

    @cached_property
    def sample_ids(self) -> Sequence[str]:
        """Return ``NAME/SPLIT/NUMBER``; the same object has the same id in every variant."""
        recipe, split = self._recipe, self._request.split
        return tuple(sample_name(recipe.name, split, n) for n in range(recipe.counts[split]))

    @property
    def labels(self) -> Int64[np.ndarray, "n"]:
        """Return the class of the object on every image."""
        return self._records["label"].astype(np.int64)

    @cached_property
    def groups(self) -> Groups:
        """Return the groups: class, and whether the background is of its family or another one.

        The background is that of the `original` image in every variant.
        """
        request, labels = self._request, self.labels
        names = tuple(f"{name}, {kind} background" for name in self.classes for kind in BACKGROUNDS)
        draws = (Draw(request.seed, sample_id) for sample_id in self.sample_ids)
        is_other = np.array([not is_own(draw, request.rho) for draw in draws], np.int64)
        return Groups(names, len(BACKGROUNDS) * labels + is_other)

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return self._recipe.side, self._recipe.side

    @property
    def fingerprint(self) -> str:
        """Return the hash of the generator's version, its source and its parameters."""
        parts = {
            "data": self._recipe.name,
            "generator": self._recipe.generator,
            "source": self._recipe.source,
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
        """Return mask and box of the object, also in variants that show only the background."""
        records = self._records[indices]
        boxes = records["box"].astype(np.int64)[:, None]
        return Annotations(masks=np.asarray(records["mask"]), boxes=list(boxes))

    @cached_property
    def _records(self) -> Records:
        recipe, count = self._recipe, self._recipe.counts[self._request.split]
        record = record_type(recipe.side)
        path = self._request.root / recipe.name / f"{self.fingerprint}.bin"
        if not _is_intact(path, count * record.itemsize):
            with _writing(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)  # before the slow part
                _publish(path, recipe.make(self._request).tobytes())
        return np.memmap(path, dtype=record, mode="r", shape=(count,))


def _is_intact(path: Path, size: int) -> bool:
    """Return whether the cache file is complete and ends with the digest of its contents."""
    if not path.is_file():
        return False
    content = path.read_bytes()
    payload, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    return len(payload) == size and hashlib.sha256(payload).digest() == digest


def _publish(path: Path, payload: bytes) -> None:
    """Write payload and digest; other processes see either the old or the new file."""
    remove_unfinished(path.parent)
    write_atomic(path, payload + hashlib.sha256(payload).digest())


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
