"""How the processes of a job, and the jobs of an array, share the shards of one artifact."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ectool.artifacts.jobs.opening import Job, following, read_job, sharing
from ectool.artifacts.partial import PartialArtifact
from ectool.config.parts import Part, PartOptions
from ectool.distributed.group import Group, joined
from ectool.distributed.launch import need_ranks
from ectool.distributed.world import World
from ectool.errors import MachineError
from ectool.options import Options
from ectool.types import Advance, Outcome, Summary

LOOK = 0.5
"""Seconds between two looks at the shards of other processes."""
LATE = 60.0
"""Seconds until a network file system shows the shards that other machines have written."""


@dataclass(frozen=True)
class Share:
    """Which shards this process computes.

    Attributes:
        group: The processes of its job.
        part: The part of the job among those of an array; None for everything.
    """

    group: Group
    part: Part | None = None

    def missing(self, partials: tuple[PartialArtifact, ...]) -> list[int]:
        """Return the shards that this job has to compute, the same in all its processes."""
        found = set[int]()
        if self.group.world.is_first:
            wanted = self.shards(partials[0])
            found = {n for one in partials for n in one.missing() if n in wanted}
        missing: list[int] = self.group.broadcast(sorted(found))
        return missing

    def shards(self, partial: PartialArtifact) -> range:
        """Return all shards of this job, finished or not."""
        return _shards(partial, self.part)

    def own(self, missing: list[int]) -> list[int]:
        """Return the shards of this process among those of its job."""
        here = self.group.world
        return missing[here.rank :: here.size]

    @contextmanager
    def opened(self, output: Path, job: Job) -> Iterator[PartialArtifact]:
        """Open an unfinished artifact in all processes of this job.

        Raises:
            InputError: There are no samples, or another job writes the artifact.
        """
        if self.group.world.is_first:
            part = self.part
            with sharing(output, job, part) if part else job.growing(output) as partial:
                self.group.barrier()
                yield partial
            return
        self.group.barrier()  # until rank 0 has made the folder
        with following(output, job, self.part) as partial:
            yield partial

    def conclude(
        self, partials: tuple[PartialArtifact, ...], publish: Callable[[], object]
    ) -> Outcome | None:
        """Let rank 0 publish when all processes are done.

        Returns:
            The outcome of a job of an array, which publishes nothing; else None.
        """
        if self.part is not None:
            return _part_outcome(partials[0], self.part, is_new=True)
        is_alone = self.group.world.is_alone
        self.group.from_first(lambda: _publish(partials, publish, is_alone=is_alone))
        return None


@contextmanager
def shared(options: Options) -> Iterator[Share]:
    """Join the processes of this job while the block runs."""
    with joined() as group:
        yield Share(group, part_of(options))


def part_of(options: Options) -> Part | None:
    """Return the part of the work that the options name; None for everything."""
    return options.part if isinstance(options, PartOptions) else None


def _part_outcome(partial: PartialArtifact, part: Part, *, is_new: bool) -> Outcome:
    """Return the outcome of a job of an array: the folder of what is unfinished."""
    missing = len(partial.missing())
    document = {"shard": str(part), "shards": len(partial.ranges), "missing": missing}
    return Outcome(partial.folder, is_new, summary=Summary(document=document))


def finished_part(options: PartOptions, *jobs: tuple[Path, Job]) -> Outcome | None:
    """Return the outcome of a job of an array that has nothing to do; else None.

    Args:
        options: Part and number of processes.
        jobs: What is written, with its output.

    Raises:
        RanksNeededError: There is something to do, for several processes.
    """
    partials = [job.partial(output) for output, job in jobs]
    part = options.part
    if part is not None and all(
        read_job(one.folder) and one.is_intact(_shards(one, part)) for one in partials
    ):
        return _part_outcome(partials[0], part, is_new=False)
    need_ranks(options.nproc)
    return None


def _shards(partial: PartialArtifact, part: Part | None) -> range:
    count = len(partial.ranges)
    return range(count) if part is None else part.of(count)


class Watch:
    """Progress of a whole job: rank 0 counts the finished shards of the others.

    Args:
        here: This process.
        partials: The artifacts.
        others: Shards that other processes compute.
        advance: Advances the display.
    """

    def __init__(
        self,
        here: World,
        partials: tuple[PartialArtifact, ...],
        others: set[int],
        advance: Advance,
    ) -> None:
        self.partials = partials
        self.others = others if here.is_first else set[int]()
        self.advance = advance
        self.next = 0.0

    def count(self, rows: int) -> None:
        """Count rows of this process, and look at the others."""
        self.advance(rows)
        self.look()

    def look(self) -> None:
        """Count shards that other processes have finished, at most once in `LOOK` seconds."""
        if not self.others or time.monotonic() < self.next:
            return
        self.next = time.monotonic() + LOOK
        for number in sorted(self.others):
            if not any(partial.is_missing(number) for partial in self.partials):
                self.others.remove(number)
                start, stop = self.partials[0].ranges[number]
                self.advance(stop - start)


def _publish(
    partials: tuple[PartialArtifact, ...], publish: Callable[[], object], *, is_alone: bool
) -> None:
    if not is_alone:
        _see(partials)
    publish()


def _see(partials: tuple[PartialArtifact, ...]) -> None:
    """Wait until the shards of other machines are visible here.

    Raises:
        MachineError: Some do not become visible.
    """
    end = time.monotonic() + LATE
    while missing := [n for partial in partials for n in partial.missing()]:
        if time.monotonic() > end:
            raise MachineError(
                f"{partials[0].output}: shards {missing}",
                expected="the shards that other processes have written",
                got="none",
                fix="give an --output on a file system that all machines share",
            )
        time.sleep(LOOK)
