"""Types of all layers: reporters of progress, and outcomes of stages. No heavy imports."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Advance = Callable[[int], None]
"""Called with the number of further items that are done."""


class Unnamed(tuple[str, ...]):
    """Numbers 0, 1, … instead of names of classes, for classes without names.

    Only their position identifies them.
    """

    __slots__ = ()

    @classmethod
    def of(cls, count: int) -> Unnamed:
        """Return the numbers of this many classes."""
        return cls(map(str, range(count)))


IntervalKind = Literal["interval", "spread"]


@dataclass(frozen=True)
class Estimate:
    """A statistic and its two-sided interval.

    Attributes:
        value: The statistic of the data.
        low: Lower end of the interval; NaN where the data are too few for one.
        high: Upper end of the interval; NaN where the data are too few for one.
        n: Number of samples (bootstrap) or seeds (t interval).
        kind: ``interval`` where the coverage in simulations is the nominal one; ``spread`` where
            the ends only show how much resampling moves the value.
    """

    value: float
    low: float
    high: float
    n: int
    kind: IntervalKind = "interval"

    @property
    def bounded(self) -> bool:
        """Tell whether both bounds are finite."""
        return math.isfinite(self.low) and math.isfinite(self.high)


class Reporter(Protocol):
    """Receiver of progress and notes of a stage."""

    def task(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Open a progress display of `total` items, and yield the function that advances it."""
        ...

    def note(self, message: str) -> None:
        """Show one line of text."""
        ...

    def warn(self, message: str) -> None:
        """Show one line about what can spoil results, also where notes are hidden."""
        ...


class SilentReporter:
    """A reporter without any output; the default of library calls."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:  # noqa: ARG002 (protocol)
        """Yield a function that does nothing."""
        yield lambda _: None

    def note(self, message: str) -> None:
        """Drop the message."""

    def warn(self, message: str) -> None:
        """Drop the message; outcomes hold the findings."""


SILENT = SilentReporter()


@dataclass(frozen=True)
class Renamed:
    """A reporter whose tasks have other names.

    Attributes:
        reporter: Receives everything.
        rename: Maps the description of a task to its new one.
    """

    reporter: Reporter
    rename: Callable[[str], str]

    def task(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Open a progress display under the new name."""
        return self.reporter.task(self.rename(description), total)

    def note(self, message: str) -> None:
        """Show one line of text."""
        self.reporter.note(message)

    def warn(self, message: str) -> None:
        """Show a warning."""
        self.reporter.warn(message)


def within(reporter: Reporter, place: str) -> Renamed:
    """Return a reporter whose tasks begin with the place that they belong to."""
    return Renamed(reporter, lambda description: f"{place}: {description}")


@dataclass(frozen=True)
class Finding:
    """A problem of an artifact that can spoil results.

    Attributes:
        name: Its name in the table of findings, or `upper-bounds`.
        path: The artifact.
        text: One sentence: what was found, how often, and what to do.
        title: The same in a few words and without numbers, for several artifacts at once.
    """

    name: str
    path: Path
    text: str
    title: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


@dataclass(frozen=True)
class Summary:
    """What a stage tells of its result, besides the path.

    Attributes:
        tables: Cells by row and column, for people.
        document: JSON values, for programs.
        text: Text that replaces the path on stdout; None for the path.
    """

    tables: tuple[Mapping[str, Mapping[str, object]], ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None


@dataclass(frozen=True)
class Outcome:
    """Result of a stage that writes files.

    Attributes:
        path: Artifact or file that the stage writes.
        is_new: Whether anything was computed or written; False where everything was up to date.
        findings: Problems of the artifacts, such as heatmaps that are all zero; also of artifacts
            that were up to date.
        summary: What the stage tells of the content; None if that is nothing.
    """

    path: Path
    is_new: bool
    findings: tuple[Finding, ...] = ()
    summary: Summary | None = None


def merged(path: Path, outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome of several stages: new where one of them is, each finding once."""
    found = list(outcomes)
    findings = dict.fromkeys(finding for one in found for finding in one.findings)
    return Outcome(path, any(one.is_new for one in found), tuple(findings))


def warn(outcome: Outcome, reporter: Reporter) -> None:
    """Report the findings of a stage as warnings."""
    for finding in outcome.findings:
        reporter.warn(str(finding))
