"""The loop of every map stage: shard by shard, batch by batch, reading ahead.

Reader threads load the next batches and a writer thread stores the last shard while the model
computes. Batches never cross shards, so a resumed run computes the same batches as a run without
interruption.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ectool import urls
from ectool.artifacts.folder import PartialFolder
from ectool.artifacts.jobs.opening import Job
from ectool.artifacts.jobs.reopening import reopen, set_aside_unreadable
from ectool.artifacts.jobs.writers import remove_rest
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import PartialArtifact, is_current, partial_folder, up_to_date
from ectool.artifacts.schema import Arrays
from ectool.artifacts.store import read_manifest
from ectool.artifacts.versions import described, record_machine
from ectool.config import DeviceOptions, MapOptions, ShardOptions
from ectool.datasets.base import Indices
from ectool.distributed.group import joined
from ectool.distributed.world import world
from ectool.errors import InputError, IntegrityError, listed
from ectool.stages.common.devices import CPU
from ectool.stages.common.loop.computing import Counting, JointWork, Pace, computed
from ectool.stages.common.loop.read_ahead import workers_of
from ectool.stages.common.loop.sharing import Share, Watch, part_of, shared
from ectool.stages.common.loop.space import space_checked
from ectool.stages.common.outcomes import outcome_of
from ectool.types import Outcome, Reporter

if TYPE_CHECKING:
    from ectool.models.transfer import Columns

Batch = TypeVar("Batch")
SHOWN = 3
"""Number of damaged files that a warning names."""


class Work(Protocol[Batch]):
    """Computation of a stage on one batch of rows."""

    def load(self, rows: Indices) -> Batch:
        """Read the inputs of the batch; called in reader threads, several at once."""
        ...

    def compute(self, batch: Batch) -> Columns:
        """Return the rows of the batch of every array of the artifact."""
        ...

    def findings(self, arrays: Arrays) -> dict[str, int]:
        """Count the findings in a finished shard."""
        ...


@dataclass(frozen=True)
class SingleWork(Generic[Batch]):
    """Work for one artifact, in the form of work for several."""

    work: Work[Batch]

    def load(self, rows: Indices) -> Batch:
        """Read the inputs of the batch."""
        return self.work.load(rows)

    def compute(self, batch: Batch) -> tuple[Columns, ...]:
        """Return the rows of the batch."""
        return (self.work.compute(batch),)

    def discard(self) -> None:
        """Forget the batches since the last finished shard."""
        if isinstance(self.work, Counting):
            self.work.discard()

    def findings(self, arrays: tuple[Arrays, ...]) -> tuple[dict[str, int], ...]:
        """Count the findings."""
        return tuple(self.work.findings(part) for part in arrays)


def is_done(output: Path, options: ShardOptions, recipe: Recipe, reporter: Reporter) -> bool:
    """Return whether nothing has to be computed.

    With `--resume`, damaged shards of a finished output are removed, so that the loop computes
    them again. Of several processes, rank 0 moves what is in the way; jobs of an array move
    nothing.

    Raises:
        OutputExistsError: The output exists with another key and `--force` is off.
    """
    is_alone, is_part = world().is_alone, part_of(options) is not None
    if is_alone and not is_part:
        return _is_done(output, options, recipe, reporter)
    is_found = is_current(output, recipe, force=options.force)
    if is_part or (is_found and not options.resume):
        if is_found and world().is_first and not is_part:
            remove_rest(output, partial_folder(output, recipe))
        return is_found
    with joined() as group:
        return group.from_first(lambda: _is_done(output, options, recipe, reporter))


def _is_done(output: Path, options: ShardOptions, recipe: Recipe, reporter: Reporter) -> bool:
    if options.resume and (aside := set_aside_unreadable(output)):
        reporter.warn(f"{aside}; computing everything again")
    if not up_to_date(output, recipe, force=options.force):
        note_versions(output, recipe, reporter)
        return False
    damaged = reopen(output, recipe, shard_size=options.shard_size) if options.resume else None
    if damaged is not None:
        again = f"computing damaged shards {damaged} again" if damaged else "writing it again"
        reporter.note(f"{output}: {again}")
    return damaged is None


def note_versions(output: Path, recipe: Recipe, reporter: Reporter) -> None:
    """Report inputs that were made with other versions of libraries that can change results."""
    for parent in recipe.parents:
        place = urls.place(output.absolute().parent, parent.path)
        with suppress(InputError, IntegrityError):  # the stage reports it when it reads the input
            found = read_manifest(place)
            if found is not None and (others := described(found.versions)):
                reporter.note(f"{os.path.normpath(place)}: made with {others}")


def warn_lost(partial: PartialArtifact | PartialFolder, reporter: Reporter) -> None:
    """Warn of what a killed process left and what has changed since, so that it is not used."""
    if partial.lost:
        folder = partial_folder(partial.output, partial.recipe).name
        reporter.warn(
            f"{partial.output}: not used, because it has changed since it was written: "
            f"{listed(partial.lost, SHOWN)} in {folder}"
        )


def machine_of(options: MapOptions | DeviceOptions) -> dict[str, str | int]:
    """Return device and threads of a stage that computes with torch; empty for others."""
    if not isinstance(options, DeviceOptions):
        return {}
    import torch  # imported here: not needed for an up-to-date output

    from ectool.stages.common.loaded import pick_device

    return {"device": str(pick_device(options)), "threads": torch.get_num_threads()}


def map_shards(
    work: Work[Batch],
    options: MapOptions,
    recipe: Recipe,
    length: int,
    reporter: Reporter,
    attributes: Mapping[str, Any] = MappingProxyType({}),
) -> Outcome:
    """Compute the missing shards of an artifact and publish it.

    Args:
        work: Computation on a batch.
        options: Output, shard size and batch size.
        recipe: Inputs and options of the artifact.
        length: Number of samples.
        reporter: Receives notes and progress.
        attributes: Root attributes in addition to schema and version.

    Raises:
        InputError: There are no samples.
    """
    size = options.shard_size
    job = Job(recipe=recipe, length=length, shard_size=size, attributes=dict(attributes))
    with shared(options) as share, share.opened(options.output, job) as partial:
        return map_into(partial, work, options, reporter, share)


def map_into(
    partial: PartialArtifact,
    work: Work[Batch],
    options: MapOptions,
    reporter: Reporter,
    share: Share,
) -> Outcome:
    """Compute the missing shards of an unfinished artifact, whose lock is held, and publish it."""
    fill(SingleWork(work), (partial,), options, reporter, share)
    of_part = share.conclude((partial,), partial.publish)
    return of_part or outcome_of(partial.output, is_new=True)


def fill(
    work: JointWork[Batch],
    partials: tuple[PartialArtifact, ...],
    options: MapOptions,
    reporter: Reporter,
    share: Share,
) -> None:
    """Compute the shards that are missing in any of several unfinished artifacts.

    Return when all processes of the job have computed theirs.

    Args:
        work: Computation on a batch.
        partials: The artifacts, of the same samples in shards of the same size.
        options: Batch size, device and number of readers.
        reporter: Receives notes and progress.
        share: Which shards this process computes.
    """
    first, machine = partials[0], machine_of(options)
    for partial in partials:
        warn_lost(partial, reporter)
    if share.group.world.is_first:
        for partial in partials:
            record_machine(partial.folder, machine)
    pace = Pace(options.batch, workers_of(options, str(machine.get("device", CPU))))
    missing = share.missing(partials)
    own = share.own(missing)
    shards = [(number, *first.ranges[number]) for number in own]
    rows, total = _rows(first, missing), _rows(first, share.shards(first))
    if rows < total:
        reporter.note(f"{first.output}: continuing, {rows} of {total} samples left")
        _note_begun(partials, reporter)
    with reporter.task(first.recipe.stage, rows) as advance, ThreadPoolExecutor(1) as writer:
        written: Future[None] | None = None
        watch = Watch(share.group.world, partials, set(missing) - set(own), advance)
        is_first, is_part = share.group.world.is_first, share.part is not None
        look = space_checked(partials if is_first else (), rows, options, reporter, is_part=is_part)
        for number, arrays in computed(work, shards, pace, watch.count, reporter, look):
            if written is not None:
                written.result()
            written = writer.submit(_write, partials, number, arrays, work.findings(arrays))
        if written is not None:
            written.result()
        share.group.barrier(watch.look)


def _rows(partial: PartialArtifact, shards: Iterable[int]) -> int:
    """Return the number of rows of some shards."""
    return sum(stop - start for start, stop in (partial.ranges[number] for number in shards))


def _note_begun(partials: tuple[PartialArtifact, ...], reporter: Reporter) -> None:
    for partial in partials:
        if partial.other_versions:
            reporter.note(f"{partial.output}: begun with {partial.other_versions}")


def _write(
    partials: tuple[PartialArtifact, ...],
    number: int,
    arrays: tuple[Arrays, ...],
    findings: tuple[dict[str, int], ...],
) -> None:
    """Write a shard of each artifact that lacks it."""
    for partial, part, found in zip(partials, arrays, findings, strict=True):
        if partial.is_missing(number):
            partial.write(number, part, found)
