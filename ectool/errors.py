"""Errors for users: one line with subject, expected, got and fix."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

MIN_BEGINNING = 2
"""Minimum number of letters of a beginning that stands for a whole name."""


class EctoolError(Exception):
    """An error that the user can fix; the command line prints it without a traceback.

    Args:
        subject: Subject of the message: a flag, a file, an array.
        expected: What is accepted.
        got: What was found instead.
        fix: What to do, as an imperative.

    Attributes:
        result: Result that the command has nevertheless, which is printed before the error.
        only_json: Whether it is printed with ``--json`` alone.
    """

    exit_code = 1
    result: object = None
    only_json = False

    def __init__(self, subject: str, *, expected: str, got: str, fix: str) -> None:
        self.subject = subject
        self.expected = expected
        self.got = got
        self.fix = fix
        super().__init__(f"{subject}: expected {expected}, got {got}; {fix}")

    def __reduce__(self) -> tuple[object, ...]:
        """Support pickling, for other processes, with keyword-only arguments."""
        return _rebuild, (type(self), self.subject, self.expected, self.got, self.fix)


def _rebuild(
    kind: type[EctoolError], subject: str, expected: str, got: str, fix: str
) -> EctoolError:
    return kind(subject, expected=expected, got=got, fix=fix)


class UsageError(EctoolError):
    """A flag, key or value that does not exist or is out of bounds."""

    exit_code = 2


class InputError(EctoolError):
    """An input that is missing or invalid."""

    exit_code = 3


class AbsentError(InputError):
    """A data set, or a split, of which no file exists."""


class MachineError(EctoolError):
    """A resource that the machine lacks: disk, memory, permission, open files, a package."""

    exit_code = 3


class PeerError(MachineError):
    """Another process of the same job that has ended, or does not answer."""


class OutcomeError(EctoolError):
    """What a command has found that has done all of its work; not a fault of a process."""


class FailedModelsError(OutcomeError):
    """Some of several models could not be evaluated; the others were."""

    exit_code = 3


class OutputExistsError(EctoolError):
    """The output exists, with another key."""

    exit_code = 4


class BusyOutputError(OutputExistsError):
    """Another process writes the output."""


class FinishedMeanwhileError(OutputExistsError):
    """Another process has written the output since this one looked for it."""


class IntegrityError(EctoolError):
    """An artifact whose bytes have changed since it was written."""

    exit_code = 5


class FaultyDataError(IntegrityError):
    """A data set with faults; its result is JSON values that describe all faults."""

    only_json = True


class QualityGateError(OutcomeError):
    """A result that does not meet a required bound."""

    exit_code = 6


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one means; None if none is near.

    Case and punctuation do not count; a beginning stands for the whole name.
    """
    plain: dict[str, str] = {}
    for one in known:
        plain.setdefault(_letters(one), one)
    start = _letters(name)
    longer = [one for one in plain if len(start) >= MIN_BEGINNING and one.startswith(start)]
    close = difflib.get_close_matches(start, plain, n=1)
    found = next(iter([*([start] if start in plain else longer), *close]), None)
    return None if found is None else plain[found]


def _letters(name: str) -> str:
    """Return the letters and digits of a name, in lower case; a plus as a word."""
    return re.sub(r"[\W_]", "", name.lower().replace("+", "plus"))


def hint(name: str, known: Iterable[str]) -> str:
    """Return the beginning of a fix: the known name that a misspelt one means; else no text."""
    near = nearest(name, known)
    return "" if near is None or near == name else f"did you mean {near}? "


def listed(names: Sequence[str], limit: int = 8) -> str:
    """Return names for a message, separated by commas; "…" stands for those after the limit."""
    return ", ".join([*names[:limit], *(["…"] if len(names) > limit else [])])
