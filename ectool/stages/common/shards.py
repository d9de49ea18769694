"""The loop of every map stage: shard by shard, batch by batch, reading ahead.

Reader threads load the next batches and a writer thread stores the last shard while the model
computes. Batches never cross shards, so a resumed run computes the same batches as a run without
interruption.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ectool import urls
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import PartialArtifact, growing, reopen, up_to_date
from ectool.artifacts.schema import Arrays
from ectool.artifacts.store import read_manifest
from ectool.artifacts.versions import described, record_machine
from ectool.config import DeviceOptions, MapOptions, ShardOptions
from ectool.datasets.base import Indices
from ectool.errors import InputError, IntegrityError
from ectool.stages.common.devices import CPU
from ectool.stages.common.loop.computing import Counting, JointWork, Pace, computed
from ectool.stages.common.loop.read_ahead import workers_of
from ectool.stages.common.outcomes import outcome_of
from ectool.types import Outcome, Reporter

if TYPE_CHECKING:
    from ectool.models.transfer import Columns

Batch = TypeVar("Batch")


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
    them again.

    Raises:
        OutputExistsError: The output exists with another key and `--force` is off.
    """
    if not up_to_date(output, recipe, force=options.force):
        note_versions(output, recipe, reporter)
        return False
    if options.resume and (damaged := reopen(output, recipe, shard_size=options.shard_size)):
        reporter.note(f"{output}: computing damaged shards {damaged} again")
        return False
    return True


def note_versions(output: Path, recipe: Recipe, reporter: Reporter) -> None:
    """Report inputs that were made with other versions of libraries that can change results."""
    for parent in recipe.parents:
        place = urls.place(output.absolute().parent, parent.path)
        with suppress(InputError, IntegrityError):  # the stage reports it when it reads the input
            found = read_manifest(place)
            if found is not None and (others := described(found.versions)):
                reporter.note(f"{os.path.normpath(place)}: made with {others}")


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
    with growing(
        options.output, recipe, length=length, shard_size=options.shard_size, attributes=attributes
    ) as partial:
        return map_into(partial, work, options, reporter)


def map_into(
    partial: PartialArtifact, work: Work[Batch], options: MapOptions, reporter: Reporter
) -> Outcome:
    """Compute the missing shards of an unfinished artifact, whose lock is held, and publish it."""
    fill(SingleWork(work), (partial,), options, reporter)
    return outcome_of(partial.publish(), is_new=True)


def fill(
    work: JointWork[Batch],
    partials: tuple[PartialArtifact, ...],
    options: MapOptions,
    reporter: Reporter,
) -> None:
    """Compute the shards that are missing in any of several unfinished artifacts.

    Args:
        work: Computation on a batch.
        partials: The artifacts, of the same samples in shards of the same size.
        options: Batch size, device and number of readers.
        reporter: Receives notes and progress.
    """
    first, machine = partials[0], machine_of(options)
    for partial in partials:
        record_machine(partial.folder, machine)
    pace = Pace(options.batch, workers_of(options, str(machine.get("device", CPU))))
    missing = sorted({number for partial in partials for number in partial.missing()})
    shards = [(number, *first.ranges[number]) for number in missing]
    rows = sum(stop - start for _, start, stop in shards)
    if rows < first.length:
        reporter.note(f"{first.output}: continuing, {rows} of {first.length} samples left")
        _note_begun(partials, reporter)
    with reporter.task(first.recipe.stage, rows) as advance, ThreadPoolExecutor(1) as writer:
        written: Future[None] | None = None
        for number, arrays in computed(work, shards, pace, advance, reporter):
            if written is not None:
                written.result()
            written = writer.submit(_write, partials, number, arrays, work.findings(arrays))
        if written is not None:
            written.result()


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
