"""Compute shards batch by batch: read ahead, fetch behind, halve batches that need too much memory.

The host starts the work of a batch before it takes the results of the batch before, so that an
accelerator does not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np

from ectool.artifacts.schema import Arrays
from ectool.config.groups import AutomaticSize
from ectool.datasets.base import Indices
from ectool.machine import is_of_memory
from ectool.stages.common.loop.read_ahead import read_ahead
from ectool.types import Advance, Reporter

if TYPE_CHECKING:  # stages that copy images do not need torch
    from ectool.models.transfer import Columns

Batch = TypeVar("Batch")
Shard = tuple[int, int, int]
"""Number, first row and end of a shard."""
Look = Callable[[tuple["Columns", ...]], None]
"""Sees the arrays of a batch, for each artifact."""
READ_AHEAD = 2
"""Number of batches that are read ahead."""


class JointWork(Protocol[Batch]):
    """Computation of a stage on one batch of rows that makes several artifacts."""

    def load(self, rows: Indices) -> Batch:
        """Read the inputs of the batch; called in reader threads, several at once."""
        ...

    def compute(self, batch: Batch) -> tuple[Columns, ...]:
        """Return the rows of the batch of every array, for each artifact."""
        ...

    def findings(self, arrays: tuple[Arrays, ...]) -> tuple[dict[str, int], ...]:
        """Count the findings in a finished shard, for each artifact."""
        ...


@runtime_checkable
class Counting(Protocol):
    """Work that counts findings while it computes."""

    def discard(self) -> None:
        """Forget the batches since the last finished shard."""
        ...


class Pace(NamedTuple):
    """How a stage goes through its batches.

    Attributes:
        batch_size: Samples per batch; an automatic size is halved where memory runs out.
        workers: Number of threads that read.
    """

    batch_size: int
    workers: int = 1


def computed(
    work: JointWork[Batch],
    shards: Sequence[Shard],
    pace: Pace,
    advance: Advance,
    reporter: Reporter,
    look: Look = lambda _: None,
) -> Iterator[tuple[int, tuple[Arrays, ...]]]:
    """Yield (shard number, arrays) of every finished shard.

    With an automatic batch size, a shard for which the memory does not suffice is computed again in
    batches of half the size, and so are those that follow. No result depends on it beyond the
    arithmetic of the device, because all random numbers belong to samples.

    Args:
        work: Computation on a batch.
        shards: The shards, in order.
        pace: Size of the batches, and number of readers.
        advance: Called with the number of samples of each batch.
        reporter: Receives a note if the batches become smaller.
        look: Called with the arrays of the first batch, before the others are computed.

    Memory: two shards and, for each reader, a batch; and three more.
    """
    progress = _Progress(advance)
    while shards:
        finished = 0
        try:
            for found in _in_order(work, shards, pace, progress, look):
                yield found
                finished += 1
            return
        except Exception as error:
            if not _can_halve(pace.batch_size) or not is_of_memory(error):
                raise
        # Not in the handler: the traceback holds the tensors of the batch.
        shards, pace = shards[finished:], pace._replace(batch_size=_half(pace.batch_size))
        progress.repeat()
        reporter.note(f"memory ran out; going on in batches of {pace.batch_size}")
        _release(work)


def batches_of(shards: Sequence[Shard], batch_size: int) -> list[tuple[int, Indices]]:
    """Return (shard number, rows) of every batch of the shards. No batch crosses a shard."""
    return [
        (number, np.arange(first, min(first + batch_size, stop)))
        for number, start, stop in shards
        for first in range(start, stop, batch_size)
    ]


def fetched(columns: Columns) -> Arrays:
    """Return the arrays of a batch on the host; this waits for the device."""
    return _begin(columns)()


def _in_order(
    work: JointWork[Batch], shards: Sequence[Shard], pace: Pace, progress: _Progress, look: Look
) -> Iterator[tuple[int, tuple[Arrays, ...]]]:
    """Yield the shards; a batch is taken from the device after the next one has been started."""
    plan = batches_of(shards, pace.batch_size)
    ends = {number: stop for number, _, stop in shards}
    rows_of = [rows for _, rows in plan]
    behind: _Started | None = None
    parts: list[tuple[Arrays, ...]] = []
    for (number, rows), batch in zip(
        plan, read_ahead(work.load, rows_of, workers=pace.workers, ahead=READ_AHEAD), strict=True
    ):
        found = work.compute(batch)
        if rows is rows_of[0]:
            look(found)
        started = _Started(batch, [_begin(columns) for columns in found])
        if behind is not None:
            parts.append(behind.arrays())
        behind = started
        progress(len(rows))
        if rows[-1] + 1 == ends[number]:
            parts.append(behind.arrays())
            yield number, tuple(joined_rows(batches) for batches in zip(*parts, strict=True))
            behind, parts = None, []
            progress.end_shard()


class _Started(NamedTuple):
    """A batch that the device computes.

    Attributes:
        batch: Its inputs, which are kept until their copies to the device have ended.
        results: Wait for the arrays of each artifact.
    """

    batch: Any
    results: list[Callable[[], Arrays]]

    def arrays(self) -> tuple[Arrays, ...]:
        """Wait for the arrays."""
        return tuple(wait() for wait in self.results)


def _begin(columns: Columns) -> Callable[[], Arrays]:
    """Begin to copy the arrays to the host, and return a function that waits for them."""
    arrays = {n: values for n, values in columns.items() if isinstance(values, np.ndarray)}
    if len(arrays) == len(columns):
        return lambda: arrays
    from ectool.models.transfer import Fetch

    return Fetch(columns).arrays


class _Progress:
    """Progress that does not count the batches of a repeated shard twice."""

    def __init__(self, advance: Advance) -> None:
        self.advance = advance
        self.of_shard = self.known = 0

    def __call__(self, rows: int) -> None:
        """Count the rows of a batch."""
        self.of_shard += rows
        if (new := self.of_shard - max(self.known, self.of_shard - rows)) > 0:
            self.advance(new)

    def end_shard(self) -> None:
        """Begin the next shard."""
        self.of_shard = self.known = 0

    def repeat(self) -> None:
        """Begin the shard again."""
        self.known, self.of_shard = max(self.known, self.of_shard), 0


def _can_halve(batch_size: int) -> bool:
    return isinstance(batch_size, AutomaticSize) and batch_size > 1


def _half(batch_size: int) -> int:
    return AutomaticSize(max(1, batch_size // 2))


def _release(work: object) -> None:
    """Give the memory of a failed batch back."""
    from ectool.models.memory import release

    if isinstance(work, Counting):
        work.discard()
    release()


def joined_rows(batches: Sequence[Arrays]) -> Arrays:
    """Return the arrays of several batches as those of one."""
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
