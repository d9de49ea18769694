"""`merge`: publish what the jobs of an array have written with `--shard`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from ectool.artifacts import files
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.jobs import writers
from ectool.artifacts.jobs.opening import Job, merging, read_job
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import PartialArtifact, is_current, up_to_date
from ectool.artifacts.store import read_manifest
from ectool.config import MergeConfig
from ectool.errors import InputError, IntegrityError, listed
from ectool.stages.common.inputs import artifact_parent
from ectool.stages.common.loop.space import check_space, merge_need
from ectool.stages.common.outcomes import outcome_of
from ectool.stages.common.shards import warn_lost
from ectool.types import SILENT, Outcome, Reporter, Summary, merged

SAMPLES = "samples"
Found = tuple[Path, Path | None]
"""An output, and its unfinished folder; None if the output is finished."""


def run(config: MergeConfig, reporter: Reporter = SILENT) -> Outcome:
    """Verify what several jobs have written, and publish it; the bytes are those of one process.

    Raises:
        InputError: Shards are missing, a job is at work, or there is nothing to merge.
        IntegrityError: A shard does not read back as written.
        OutputExistsError: An output exists with another key and `force` is off.
    """
    found = [find(path) for path in config.paths]
    outcomes = []
    with reporter.task("merge", len(found)) as advance:
        for output, folder in sorted(found, key=_is_draft):
            outcomes.append(_merge(output, folder, config, reporter))
            advance(1)
    outcome = merged(found[0][0], outcomes)
    text = "\n".join(str(output) for output, _ in found)
    return outcome if len(found) == 1 else replace(outcome, summary=Summary(text=text))


def find(path: Path) -> Found:
    """Return the output that a path means, and its unfinished folder.

    Args:
        path: The output, or the unfinished folder.

    Raises:
        InputError: No jobs have written it, or jobs with different options have.
    """
    if read_job(path):
        return path.with_name(path.name.rpartition(files.UNFINISHED)[0]), path
    folders = [folder for folder in files.unfinished_of(path) if read_job(folder)]
    if len(folders) > 1:
        raise InputError(
            str(path),
            expected="jobs with the same options",
            got=f"several unfinished outputs: {listed([str(folder) for folder in folders])}",
            fix="name one of them in its place",
        )
    if not folders and (not path.exists() or read_manifest(path) is None):
        raise InputError(
            str(path),
            expected="an output of jobs with --shard",
            got="none",
            fix="check the path, or run the jobs first",
        )
    return path, next(iter(folders), None)


def _is_draft(found: Found) -> bool:
    """Return whether an output needs samples that must be merged before."""
    job = None if found[1] is None else read_job(found[1])
    return job is not None and job.is_draft


def _merge(output: Path, folder: Path | None, config: MergeConfig, reporter: Reporter) -> Outcome:
    job = None if folder is None else read_job(folder)
    if folder is None or job is None:
        for emptied in files.unfinished_of(output):
            with suppress(OSError):  # it has files
                emptied.rmdir()
        writers.remove_rest(output)
        return outcome_of(output, is_new=False)
    recipe = _final(output, job) if job.is_draft else job.recipe
    if is_current(output, recipe, force=config.force):
        writers.remove_rest(output, folder)
        return outcome_of(output, is_new=False)
    with merging(output, job) as partial:
        warn_lost(partial, reporter)
        if not up_to_date(output, recipe, force=config.force):
            _check_complete(partial)
            check_space(output, config, merge_need(partial), reporter)
            partial.publish(recipe=recipe)
            return outcome_of(output, is_new=True)
        files.remove_with_last(partial.folder, files.JOB_FILE)
    return outcome_of(output, is_new=False)


def _check_complete(partial: PartialArtifact) -> None:
    """Check that every shard is finished.

    Raises:
        IntegrityError: Some are damaged; the message has the numbers of all that are missing.
        InputError: Some are not finished.
    """
    missing, count = partial.missing(), len(partial.ranges)
    if missing and partial.lost:
        raise IntegrityError(
            f"{partial.output}: shards {missing}",
            expected="the bytes that were written",
            got=f"others in {listed(partial.lost)}",
            fix="run the jobs that compute them again, or the command without --shard",
        )
    if missing:
        raise InputError(
            str(partial.output),
            expected=f"{count} finished shards",
            got=f"{count - len(missing)}; {_ranges(missing)} missing (of 0-{count - 1})",
            fix="run the jobs that compute them again, or the command without --shard",
        )


def _ranges(numbers: Iterable[int]) -> str:
    """Return sorted numbers in short: `0-2, 5`."""
    runs = [
        [number for _, number in run]
        for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    ]
    return listed([f"{run[0]}-{run[-1]}" if run[1:] else str(run[0]) for run in runs], limit=20)


def _final(output: Path, job: Job) -> Recipe:
    """Return the recipe with the content of the samples, which the jobs did not know.

    Raises:
        InputError: The samples are not published yet, or are others.
    """
    draft = next(parent for parent in job.recipe.parents if parent.role == SAMPLES)
    place = output.parent / draft.path
    manifest = read_manifest(place) if place.exists() else None
    if manifest is None or manifest.key != draft.id:
        raise InputError(
            str(output),
            expected=f"the samples of the same jobs, merged before: {place}",
            got="no samples" if manifest is None else "samples of other options",
            fix=f"merge both: `ectool merge {place} {output}`",
        )
    with Artifact(place, SAMPLES) as samples:
        final = artifact_parent(SAMPLES, samples, output)
    parents = tuple(final if parent == draft else parent for parent in job.recipe.parents)
    return job.recipe.model_copy(update={"parents": parents})
