"""The data sets by name, and how a data URI becomes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path

from ectool.datasets.base import VARIANTS, DataRequest, Dataset
from ectool.datasets.digits import open_digits
from ectool.datasets.imagefolder import open_imagefolder
from ectool.datasets.stl10 import open_stl10
from ectool.errors import InputError

Opener = Callable[[DataRequest], Dataset]

DATASETS: dict[str, Opener] = {
    "digits": open_digits,
    "imagefolder": open_imagefolder,
    "stl10": open_stl10,
}

_VARIANTS = {"digits": VARIANTS}


def open_dataset(
    uri: str,
    *,
    split: str,
    variant: str = "original",
    size: int = 224,
    rho: float = 0.5,
    seed: int = 0,
    root: Path,
) -> Dataset:
    """Open one split and variant of a data set.

    Args:
        uri: ``NAME`` or ``NAME:PATH``, e.g. ``digits`` or ``imagefolder:~/birds``.
        split: ``train``, ``validation`` or ``test``; data sets may have more.
        variant: One of ``variants(uri)``.
        size: Side of the square view in pixels, for data sets of pictures of many sizes.
        rho: Share of training pictures whose background family equals the class (digits).
        seed: Seed of everything that is drawn while the data are made (digits).
        root: Folder under which data sets lie and made ones are cached (``ECTOOL_DATA``).

    Returns:
        The data set.

    Raises:
        InputError: Name, split, variant or files do not exist or are invalid.
    """
    if variant not in variants(uri):
        raise _unknown(f"variant of {uri}", variant, variants(uri))
    name, _, path = uri.partition(":")
    return DATASETS[name](DataRequest(path, split, variant, size, rho, seed, root))


def variants(uri: str) -> tuple[str, ...]:
    """Return the background variants that a data set has.

    Args:
        uri: ``NAME`` or ``NAME:PATH``.

    Returns:
        Variants; ``original`` is always among them.

    Raises:
        InputError: There is no data set of that name.
    """
    name = uri.partition(":")[0]
    if name not in DATASETS:
        raise _unknown("data set", name, tuple(DATASETS))
    return _VARIANTS.get(name, ("original",))


def _unknown(subject: str, name: str, known: Sequence[str]) -> InputError:
    close = get_close_matches(name, known, n=1)
    return InputError(
        subject,
        expected=f"one of {', '.join(known)}",
        got=repr(name),
        fix=f"write {close[0]!r}" if close else "choose one of them",
    )
