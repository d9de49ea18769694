"""Real handwritten digits over textures that are correlated with the class; made, not downloaded.

The background variants are those of the ImageNet-9 Backgrounds Challenge (Xiao et al., "Noise or
Signal", ICLR 2021), with texture families in the place of the other images' backgrounds.
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
from ectool.datasets.catalogue import Entry
from ectool.datasets.image_arrays import framed
from ectool.datasets.published.digit_images import (
    PAINT_DRAWS,
    SIDE,
    Draw,
    Image,
    compose,
    mask_box,
    paint,
    place_object,
)
from ectool.errors import InputError, IntegrityError, MachineError

GENERATOR_VERSION = 2
CLASSES = tuple(str(digit) for digit in range(10))
BACKGROUNDS = ("own", "other")
FAMILY = "family"
"""Purpose of the numbers that choose the background's texture."""
COUNTS = {"train": 997, "validation": 200, "test": 600}
SOURCE_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
RECORD = np.dtype(
    [
        ("image", np.uint8, (3, SIDE, SIDE)),
        ("mask", np.bool_, (SIDE, SIDE)),
        ("box", np.uint8, 4),
        ("label", np.uint8),
    ]
)
DIGEST_BYTES = hashlib.sha256().digest_size

Records = np.ndarray[tuple[int], np.dtype[np.void]]


def open_digits(request: DataRequest) -> Dataset:
    """Open one split and variant of the embedded data set.

    Args:
        request: ``view`` is ignored, images are 32 pixels wide. ``rho`` is the share of
            ``original`` images (of every split) whose background family equals the class; the
            others have one of the nine other families. ``seed`` draws everything but the split.

    Returns:
        The data set; its images are made on first use and cached under ``request.root``.

    Raises:
        InputError: If the path is not empty, the split or variant is unknown, or rho lies
            outside [0, 1].
    """
    _check(request)
    return Digits(request)


def _check(request: DataRequest) -> None:
    if request.path:
        raise InputError(
            "data set digits", expected="no path", got=repr(request.path), fix="write `digits`"
        )
    _check_name("split", request.split, SPLITS)
    _check_name("variant", request.variant, VARIANTS)
    if not 0.0 <= request.rho <= 1.0:
        raise InputError(
            "rho of digits", expected="a share in [0, 1]", got=str(request.rho), fix="change --rho"
        )


def _check_name(subject: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise InputError(
            f"{subject} of digits",
            expected=f"one of {', '.join(known)}",
            got=repr(name),
            fix=f"choose another {subject}",
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
        """Return the groups of class and background: that of the class, or another's.

        They are those of the `original` images, whatever the variant shows.
        """
        request, labels = self._request, self.labels
        names = tuple(f"{digit}, {kind} background" for digit in CLASSES for kind in BACKGROUNDS)
        draws = (Draw(request.seed, sample_id) for sample_id in self.sample_ids)
        is_other = np.array([not _is_own(request, draw) for draw in draws], np.int64)
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
        """Return RGB images, 0 to 255, or what `framing` shows of them."""
        images = np.asarray(self._records["image"][indices])
        return images if framing is None else framed(images, indices, framing)

    def annotations(self, indices: Indices, targets: Indices | None = None) -> Annotations:  # noqa: ARG002 (one object each)
        """Return the digit's mask and box, also for variants that show only the background."""
        records = self._records[indices]
        boxes = records["box"].astype(np.int64)[:, None]
        return Annotations(masks=np.asarray(records["mask"]), boxes=list(boxes))

    @cached_property
    def _records(self) -> Records:
        path = self._request.root / "digits" / f"{self.fingerprint}.bin"
        count = COUNTS[self._request.split]
        if not _is_intact(path, count):
            with _writing(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)  # first, for making them takes long
                _publish(path, make_records(self._request).tobytes())
        return np.memmap(path, dtype=RECORD, mode="r", shape=(count,))


def _is_intact(path: Path, count: int) -> bool:
    """Tell whether the cache file is whole and ends with the digest of the rest."""
    if not path.is_file():
        return False
    content = path.read_bytes()
    payload, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    return len(payload) == count * RECORD.itemsize and hashlib.sha256(payload).digest() == digest


def _publish(path: Path, payload: bytes) -> None:
    """Write payload and digest so that readers and other makers see the old or the new file."""
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


def make_records(request: DataRequest) -> Records:
    """Draw every image of a split and variant.

    Args:
        request: A checked request.

    Returns:
        Structured array with the fields of ``RECORD``.

    Raises:
        IntegrityError: If the installed scikit-learn carries other digits.
    """
    digits, labels = _load_source()
    records = np.zeros(COUNTS[request.split], dtype=RECORD)
    for number, source in enumerate(split_members(labels, request.split)):
        draw = Draw(request.seed, f"digits/{request.split}/{number:04d}")
        label = int(labels[source])
        canvas, mask = place_object(digits[source], draw)
        background = _background(request, label, draw)
        box = mask_box(mask)
        image = compose(request.variant, canvas, mask, box, background)
        records[number] = (image, mask, box, label)
    return records


def _load_source() -> tuple[UInt8[np.ndarray, "n 8 8"], UInt8[np.ndarray, "n"]]:
    """Return scikit-learn's digits, 0 to 16, and their labels, verified."""
    from sklearn.datasets import load_digits

    source = load_digits()
    digits, labels = source.images.astype(np.uint8), source.target.astype(np.uint8)
    digest = hashlib.sha256(digits.tobytes() + labels.tobytes()).hexdigest()
    if digest != SOURCE_SHA256:
        raise IntegrityError(
            "scikit-learn's digits",
            expected=f"SHA-256 {SOURCE_SHA256}",
            got=digest,
            fix="reinstall scikit-learn",
        )
    return digits, labels


def split_members(labels: UInt8[np.ndarray, "n"], split: str) -> list[int]:
    """Return the source images of a split: 60 of each class test, 20 validation, rest train.

    Args:
        labels: Class of every source image.
        split: One of ``SPLITS``.

    Returns:
        Indices in an order that mixes the classes; it depends on nothing but the source.
    """
    order = sorted(range(len(labels)), key=lambda i: hashlib.sha256(b"digits/%d" % i).digest())
    cut = {"test": slice(0, 60), "validation": slice(60, 80), "train": slice(80, None)}[split]
    chosen = {i for c in range(10) for i in [j for j in order if labels[j] == c][cut]}
    return [i for i in order if i in chosen]


def _background(request: DataRequest, label: int, draw: Draw) -> Image:
    """Draw the texture that a variant puts behind the object."""
    _, other, anyone = draw(FAMILY, 3)
    mixed = {"mixed_same": label, "mixed_rand": int(10 * anyone), "mixed_next": (label + 1) % 10}
    if request.variant in mixed:
        return paint(mixed[request.variant], draw("mixed background", PAINT_DRAWS))
    unlike = (label + 1 + int(9 * other)) % 10
    family = label if _is_own(request, draw) else unlike
    return paint(family, draw("background", PAINT_DRAWS))


def _is_own(request: DataRequest, draw: Draw) -> bool:
    """Tell whether the background of the original image is of its class's family."""
    return bool(draw(FAMILY, 3)[0] < request.rho)


DIGITS = Entry(
    open=open_digits,
    summary="Real handwritten digits over textures that go with the class; made, not downloaded.",
    uri="digits",
    variants=VARIANTS,
)
