"""JSON and TOML from outside: every document is read here, and no invalid one goes further.

A document is UTF-8, its numbers are finite and have at most 64 bits, no key occurs twice in an
object, and it is nested at most 64 deep. So the code behind may walk it, compare it and write it.
"""

from __future__ import annotations

import codecs
import json
import math
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from ectool import input_files
from ectool.errors import InputError, IntegrityError

MAX_DEPTH = 64
MAX_INTEGER = 2**64
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SHOWN = 60
"""Maximum number of letters of a key or a number in a message."""
_FIX = "correct the file, or make it again"

Model = TypeVar("Model", bound=BaseModel)
Kind = type[InputError] | type[IntegrityError]


class MalformedError(ValueError):
    """A document that is not valid; its text says why."""


def parse_json(data: bytes | str, *, allow_nan: bool = False) -> Any:  # noqa: ANN401 (JSON)
    """Return the value of a JSON document.

    Args:
        data: The document; bytes are UTF-8, with or without a byte order mark.
        allow_nan: Whether numbers may be infinite or undefined, as in losses of trainings.

    Raises:
        MalformedError: It is not valid.
    """
    text = _text(data) if isinstance(data, bytes) else data
    constant = None if allow_nan else _refuse_constant
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=constant)
    except RecursionError:
        raise MalformedError(f"values nested more than {MAX_DEPTH} deep") from None
    except MalformedError:
        raise
    except json.JSONDecodeError as error:
        raise MalformedError(str(error)) from None
    except ValueError:  # of Python: a number of thousands of digits
        raise MalformedError("a number of more than 64 bits") from None
    _check(value, allow_nan=allow_nan)
    return value


def parse_toml(data: bytes) -> dict[str, Any]:
    """Return the tables of a TOML document.

    Numbers may be infinite or undefined: options refuse them with their names.

    Raises:
        MalformedError: It is not valid.
    """
    try:
        found = tomllib.loads(_text(data))
    except RecursionError:
        raise MalformedError(f"values nested more than {MAX_DEPTH} deep") from None
    except MalformedError:
        raise
    except tomllib.TOMLDecodeError as error:
        raise MalformedError(str(error)) from None
    except ValueError as error:  # of Python: a number of thousands of digits, or a date
        text = "a number of more than 64 bits" if "digits" in str(error) else str(error)
        raise MalformedError(text) from None
    _check(found, allow_nan=True)
    return found


def read_json(
    path: Path, *, kind: Kind = InputError, fix: str = _FIX, allow_nan: bool = False
) -> Any:  # noqa: ANN401 (JSON)
    """Return the value of a JSON file.

    Args:
        path: The file.
        kind: Error of an invalid document: IntegrityError if ectool wrote the file.
        fix: What to do then.
        allow_nan: As for :func:`parse_json`.

    Raises:
        InputError, IntegrityError: It is not valid, is no regular file, or is too large.
        OSError: It is missing, or cannot be read.
    """
    data = input_files.read_bytes(path, input_files.JSON)
    try:
        return parse_json(data, allow_nan=allow_nan)
    except MalformedError as error:
        raise kind(str(path), expected="valid JSON", got=str(error), fix=fix) from None


def read_object(
    path: Path, *, kind: Kind = InputError, fix: str = _FIX, allow_nan: bool = False
) -> dict[str, Any]:
    """Return the object in a JSON file; arguments and errors are those of :func:`read_json`."""
    found = read_json(path, kind=kind, fix=fix, allow_nan=allow_nan)
    if isinstance(found, dict):
        return found
    got = f"a value of type {type(found).__name__}"
    raise kind(str(path), expected="a JSON object", got=got, fix=fix)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        InputError: It is not valid, is no regular file, or is too large.
        OSError: It is missing, or cannot be read.
    """
    data = input_files.read_bytes(path, input_files.TOML)
    try:
        return parse_toml(data)
    except MalformedError as error:
        fix = "correct the file"
        raise InputError(str(path), expected="valid TOML", got=str(error), fix=fix) from None


def validated(
    model: type[Model],
    data: bytes | str,
    where: str,
    *,
    expected: str,
    fix: str = _FIX,
    kind: Kind = InputError,
) -> Model:
    """Return a JSON document as a checked model.

    Args:
        model: What it must be.
        data: The document.
        where: Subject of errors: its file.
        expected: What it must be, in words.
        fix: What to do otherwise.
        kind: Error of an invalid document.

    Raises:
        InputError, IntegrityError: It is not valid JSON, or no such model.
    """
    try:
        return model.model_validate(parse_json(data))
    except (MalformedError, ValidationError) as error:
        got = first_finding(error) if isinstance(error, ValidationError) else str(error)
        raise kind(where, expected=expected, got=got, fix=fix) from None


def first_finding(error: ValidationError) -> str:
    """Return the place and the message of the first finding of pydantic."""
    finding = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(map(str, finding["loc"]))
    return f"{place[:_SHOWN]}: {finding['msg']}" if place else finding["msg"]


def _text(data: bytes) -> str:
    if data.startswith(_UTF16):
        raise MalformedError("UTF-16; save it as UTF-8")
    try:
        # Not by utf-8-sig: its module is a file, which cannot be opened under a limit of files.
        return data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"bytes that are not UTF-8, at {error.start}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"the number {name}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen = set[str]()
    for name, _ in pairs:
        if name in seen:
            raise MalformedError(f"the key {name[:_SHOWN]!r} twice")
        seen.add(name)
    return found


def _check(value: object, *, allow_nan: bool) -> None:
    """Check depth, numbers and texts of a parsed document, without recursion."""
    level: list[Iterable[object]] = [(value,)]
    for _ in range(MAX_DEPTH + 1):
        below: list[Iterable[object]] = []
        for values in level:
            for one in values:
                if isinstance(one, str):
                    _check_text(one)
                elif isinstance(one, dict):
                    below += (one, one.values())
                elif isinstance(one, list):
                    below.append(one)
                elif isinstance(one, int):
                    _check_integer(one)
                elif isinstance(one, float) and not (allow_nan or math.isfinite(one)):
                    raise MalformedError("a number that is not finite")
        if not below:
            return
        level = below
    raise MalformedError(f"values nested more than {MAX_DEPTH} deep")


def _check_integer(number: int) -> None:
    if not -MAX_INTEGER < number < MAX_INTEGER:
        raise MalformedError("a number of more than 64 bits")


def _check_text(text: str) -> None:
    """Check that a text can be written: half of a pair of surrogates is no character."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MalformedError("half of a surrogate pair, which is no character") from None
