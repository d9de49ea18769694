"""Unfinished artifacts, opened by processes that write them together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ectool.artifacts import files, versions
from ectool.artifacts.jobs import locks, remains
from ectool.artifacts.jobs.sealed import read_sealed, write_sealed
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import PartialArtifact, growing
from ectool.config.parts import Part


class Job(BaseModel):
    """What an array of jobs writes, so that `merge` needs none of their options.

    Attributes:
        recipe: Inputs and options of the artifact.
        length: Number of samples.
        shard_size: Samples per shard.
        attributes: Root attributes in addition to schema and version.
        is_draft: Whether the recipe names samples by their key, because their id was not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    recipe: Recipe
    length: int
    shard_size: int
    attributes: dict[str, Any] = {}
    is_draft: bool = False

    def growing(self, output: Path) -> AbstractContextManager[PartialArtifact]:
        """Hold the lock of everything; see `growing`."""
        length, size = self.length, self.shard_size
        return growing(
            output, self.recipe, length=length, shard_size=size, attributes=self.attributes
        )

    def partial(self, output: Path) -> PartialArtifact:
        """Return the unfinished artifact."""
        return PartialArtifact(output, self.recipe, self.length, self.shard_size, self.attributes)


def read_job(folder: Path) -> Job | None:
    """Return the job of an unfinished artifact; None if no array of jobs has begun it."""
    content = read_sealed(folder / files.JOB_FILE)
    return None if content is None else Job.model_validate_json(content)


@contextmanager
def sharing(output: Path, job: Job, part: Part) -> Iterator[PartialArtifact]:
    """Hold the lock of a part of an unfinished artifact, beside other jobs.

    Raises:
        InputError: A process writes the same part, or everything, or another number of parts.
    """
    partial = job.partial(output)
    with locks.sharing(partial.folder, output, part):
        locks.wait_for_followers(partial.folder, output, part)
        files.as_folder(partial.folder / remains.SHARDS)
        with locks.creating(partial.folder):
            partial.keep_intact(part.of(len(partial.ranges)))
            write_sealed(partial.folder / files.JOB_FILE, job.model_dump_json().encode())
            partial.other_versions = partial.begin(versions.recorded(partial.folder))
        yield partial


@contextmanager
def following(output: Path, job: Job, part: Part | None) -> Iterator[PartialArtifact]:
    """Open an unfinished artifact whose lock rank 0 holds.

    Raises:
        InputError: It belongs to another job by now.
    """
    partial = job.partial(output)
    with locks.following(partial.folder, output, part):
        yield partial


@contextmanager
def merging(output: Path, job: Job) -> Iterator[PartialArtifact]:
    """Hold the lock of an unfinished artifact that no job writes any more.

    Raises:
        InputError: A job is at work.
    """
    partial = job.partial(output)
    with locks.whole(partial.folder, output):
        partial.keep_intact()
        partial.versions = versions.recorded(partial.folder)
        yield partial
