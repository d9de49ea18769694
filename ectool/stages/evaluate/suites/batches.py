"""A part of an evaluation, computed by several processes batch by batch.

The processes share the batches that one process would compute, so the bytes are the same for any
number of them. Rank 0 joins the batches to shards and publishes the part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import PartialArtifact, growing, partial_folder
from ectool.artifacts.versions import record_machine
from ectool.config import MapOptions
from ectool.distributed.group import Group
from ectool.distributed.world import apart
from ectool.stages.common.devices import CPU
from ectool.stages.common.loop.computing import Look, Pace, batches_of, computed, joined_rows
from ectool.stages.common.loop.pieces import Pieces, Rows
from ectool.stages.common.loop.read_ahead import workers_of
from ectool.stages.common.loop.space import space_checked
from ectool.stages.common.outcomes import outcome_of
from ectool.stages.common.shards import SingleWork, Work, machine_of, map_shards, warn_lost
from ectool.types import Outcome, Reporter

Batch = TypeVar("Batch")


def map_batches(
    work: Work[Batch],
    options: MapOptions,
    recipe: Recipe,
    length: int,
    reporter: Reporter,
    group: Group,
) -> Outcome:
    """Compute the missing batches of an artifact, this process its share, and publish it.

    Args:
        work: Computation on a batch.
        options: Output, shard size and batch size.
        recipe: Inputs and options of the artifact.
        length: Number of samples.
        reporter: Receives notes and progress.
        group: The processes; all of them call this function.

    Raises:
        InputError: There are no samples, or another job is at work.
        PeerError: Another process has ended.
    """
    if group.world.is_alone:
        return map_shards(work, options, recipe, length, reporter)
    pieces = Pieces(partial_folder(options.output, recipe))
    if not group.world.is_first:
        _compute(work, options, pieces, group.broadcast(None), reporter, group)
        group.barrier()
        return outcome_of(options.output, is_new=True)
    with (
        apart(),
        growing(options.output, recipe, length=length, shard_size=options.shard_size) as partial,
    ):
        record_machine(partial.folder, machine_of(options))
        batches = _batches(partial, options.batch)
        wanted = [rows for of_shard in batches.values() for rows in of_shard]
        missing = group.broadcast(pieces.keep(wanted))
        partial.lost += pieces.lost
        warn_lost(partial, reporter)
        rows = sum(stop - start for start, stop in missing)
        look = space_checked((partial,), rows, options, reporter)
        _compute(work, options, pieces, missing, reporter, group, look)
        _join(partial, pieces, batches)
        partial.publish()
    group.barrier()
    return outcome_of(options.output, is_new=True)


def _batches(partial: PartialArtifact, batch_size: int) -> dict[int, list[Rows]]:
    """Return the batches of each missing shard."""
    found: dict[int, list[Rows]] = {}
    shards = [(number, *partial.ranges[number]) for number in partial.missing()]
    for number, rows in batches_of(shards, batch_size):
        found.setdefault(number, []).append(Rows(int(rows[0]), int(rows[-1]) + 1))
    return found


def _compute(
    work: Work[Batch],
    options: MapOptions,
    pieces: Pieces,
    missing: Sequence[Rows],
    reporter: Reporter,
    group: Group,
    look: Look = lambda _: None,
) -> None:
    """Compute the share of this process, every so many-th batch, and wait for the others."""
    own = missing[group.world.rank :: group.world.size]
    shards = [(number, *rows) for number, rows in enumerate(own)]
    device = str(machine_of(options).get("device", CPU))
    pace = Pace(options.batch, workers_of(options, device))
    with reporter.task("evaluate", sum(stop - start for start, stop in own)) as advance:
        for number, (arrays,) in computed(SingleWork(work), shards, pace, advance, reporter, look):
            pieces.write(own[number], arrays, work.findings(arrays))
    group.barrier()


def _join(partial: PartialArtifact, pieces: Pieces, batches: dict[int, list[Rows]]) -> None:
    """Write the shards from their pieces."""
    for number, of_shard in batches.items():
        found = [pieces.read(rows) for rows in of_shard]
        findings = Counter[str]()
        for _, counts in found:
            findings.update(counts)
        partial.write(number, joined_rows([arrays for arrays, _ in found]), dict(findings))
        pieces.remove(of_shard)
