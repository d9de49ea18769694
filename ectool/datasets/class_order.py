"""The order of classes, which numbers their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal
from unicodedata import normalize

from ectool.errors import InputError

ClassOrder = Literal["natural", "text"]

_INTEGER = re.compile(r"[+\-\N{MINUS SIGN}]?\d{1,100}(\.0*)?", re.ASCII)


def ordered_classes(
    names: Iterable[str], order: ClassOrder | None, where: str, *, default: ClassOrder = "natural"
) -> list[str]:
    """Sort class names, which numbers them from 0.

    Two spellings of one name are refused, because images of one class would count as two classes:
    one number (1 and 1.0), or one word that differs only in case, white space or Unicode
    normalisation (cat and Cat; single letters may differ in case). With the order ``text``, every
    spelling is a class.

    Args:
        names: Names; repetitions count once.
        order: ``text`` compares them as text, as torchvision's ImageFolder does: 0, 1, 10, 11, 2.
            ``natural`` sorts by value where every name is an integer, also written as 1.0 or -1,
            and as text otherwise. None: `default`.
        where: Beginning of the error message.
        default: The order where `order` is None.

    Raises:
        InputError: Two names are spellings of one name.
    """
    by_text = sorted(set(names))
    if order != "text":
        _check_spelling(by_text, where)
    by_value = (order or default) == "natural" and are_integers(by_text)
    return sorted(by_text, key=_value) if by_value else by_text


def are_integers(names: Sequence[str]) -> bool:
    """Return whether every name is an integer, also one written as 1.0 or -1."""
    return bool(names) and all(_INTEGER.fullmatch(name) for name in names)


def order_matters(names: Sequence[str]) -> bool:
    """Return whether the order of names as text differs from the order by value."""
    return are_integers(names) and sorted(names) != sorted(names, key=_value)


def order_of(names: Sequence[str]) -> ClassOrder | None:
    """Return the order of names that are integers; None for other names or if both orders agree."""
    if not order_matters(names):
        return None
    if list(names) == sorted(names):
        return "text"
    return "natural" if list(names) == sorted(names, key=_value) else None


def _value(name: str) -> int:
    return int(name.partition(".")[0].replace("\N{MINUS SIGN}", "-"))


def _check_spelling(names: Sequence[str], where: str) -> None:
    """Check that no two names are spellings of one number or one word."""
    numbers = are_integers(names)
    found: dict[int | str, str] = {}
    for name in names:
        other = found.setdefault(_value(name) if numbers else _word(name), name)
        if other != name:
            raise InputError(
                where,
                expected="one name for each class",
                got=f"{other!r} and {name!r}, which are the same "
                + ("number" if numbers else "word in another spelling"),
                fix="give the class one name, or --class-order text where they are two classes",
            )


def _word(name: str) -> str:
    """Return the normal form of all spellings of a word."""
    word = " ".join(normalize("NFC", name).split())
    return word.casefold() if len(word) > 1 else word
