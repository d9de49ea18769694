"""The order of classes: which number each class name has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from ectool.errors import InputError

ClassOrder = Literal["natural", "text"]

_INTEGER = re.compile(r"[+-]?\d{1,100}(\.0*)?", re.ASCII)


def ordered_classes(names: Iterable[str], order: ClassOrder, where: str) -> list[str]:
    """Sort class names, which numbers them from 0.

    Args:
        names: Names; repetitions count once.
        order: ``text`` compares them as text, as torchvision's ImageFolder does: 0, 1, 10, 11, 2.
            ``natural`` sorts by value where every name is an integer, also written as 1.0 or -1,
            and as text elsewhere.
        where: What the message begins with.

    Raises:
        InputError: Two names stand for one number in natural order, such as 1 and 1.0.
    """
    by_text = sorted(set(names))
    if order == "text" or not are_integers(by_text):
        return by_text
    found: dict[int, str] = {}
    for name in by_text:
        other = found.setdefault(_value(name), name)
        if other != name:
            raise InputError(
                where,
                expected="one name for each class",
                got=f"{other!r} and {name!r}, which are the same number",
                fix="give the class one name, or --class-order text where they are two classes",
            )
    return [found[value] for value in sorted(found)]


def are_integers(names: Sequence[str]) -> bool:
    """Tell whether every name is an integer, also one written as 1.0 or -1."""
    return bool(names) and all(_INTEGER.fullmatch(name) for name in names)


def order_matters(names: Sequence[str]) -> bool:
    """Tell whether names have another order as text than by value."""
    return are_integers(names) and sorted(names) != sorted(names, key=_value)


def _value(name: str) -> int:
    return int(name.partition(".")[0])
