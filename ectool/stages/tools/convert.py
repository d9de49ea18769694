"""`convert`: copy an array artifact to the other format."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ectool.artifacts import files
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.copying import copy
from ectool.artifacts.differences import described
from ectool.artifacts.jobs import writers
from ectool.artifacts.store import check_suffix, read_manifest
from ectool.config import ConvertConfig
from ectool.errors import InputError, IntegrityError, OutputExistsError, UsageError
from ectool.input_files import real_path
from ectool.remote import outputs
from ectool.remote.writing import Identity
from ectool.stages.common.loop.space import check_space, copy_need
from ectool.stages.common.outcomes import outcome_of
from ectool.stages.tools import restoring
from ectool.stages.tools.restoring import moved
from ectool.types import SILENT, Outcome, Reporter


def run(config: ConvertConfig, reporter: Reporter = SILENT) -> Outcome:
    """Copy an array artifact between Zarr and HDF5 without loss; key and id stay the same.

    Arrays that are not in the schema are copied too; links and types other than numbers and text
    are left out, with a note. With another `store`, the result is what `perturb` with this option
    writes, of the same id.

    Raises:
        InputError: The source is missing or is not an artifact.
        UsageError: Source and target are the same file.
        IntegrityError: The source is damaged; an existing target stays.
        OutputExistsError: The target exists with other contents and `force` is off.
        BusyOutputError: Another process writes it.
    """
    source, target = config.source, check_suffix(config.target)
    if real_path(source) == real_path(target):
        raise UsageError(
            str(target), expected="another file than the source", got="the same", fix="rename it"
        )
    with Artifact(source) as artifact:
        if config.store is not None and restoring.is_other(artifact, config.store):
            return restoring.run(config, artifact, config.store, reporter)
        is_new = not _is_there(config, artifact)
        scratch = target.with_name(f"{target.name}{files.UNFINISHED}{artifact.id[:16]}")
        if not is_new:
            writers.remove_rest(target, scratch)
        else:
            with writers.exclusive(scratch, target):
                is_new = not _is_there(config, artifact)
                if is_new:
                    _copy(config, artifact, scratch, reporter)
                files.remove(scratch)
    return outcome_of(target, is_new=is_new)


def _is_there(config: ConvertConfig, artifact: Artifact) -> bool:
    """Return whether the target is there with the contents of the source.

    Raises:
        OutputExistsError: It has other contents, and `force` is off.
    """
    if not config.target.exists():
        return False
    if _is_copy(config.target, artifact):
        return True
    _check_force(config, artifact)
    return False


def _copy(config: ConvertConfig, artifact: Artifact, scratch: Path, reporter: Reporter) -> None:
    """Write the copy in a folder for scratch files, and publish it."""
    source, target = config.source, config.target
    for left in scratch.iterdir():  # of a killed process
        files.remove(left)
    if artifact.store.unreadable:
        names = ", ".join(f"{n} ({why})" for n, why in artifact.store.unreadable.items())
        reporter.note(f"{source}: left out, not arrays of numbers or text: {names}")
    check_space(target, config, copy_need(artifact, target), reporter)
    manifest = moved(artifact.manifest, source, target) if artifact.manifest else None
    with reporter.task("convert", len(artifact)) as advance:
        made = copy(artifact, scratch / target.name, manifest, advance)
    if config.force and target.exists():
        files.move_aside(target, "replaced")
    files.publish(made, target)
    key = manifest.key if manifest else ""
    outputs.publish(target, Identity(artifact.kind, key, artifact.id))


def _is_copy(target: Path, artifact: Artifact) -> bool:
    """Return whether the target has the same contents, and is not damaged."""
    try:
        with Artifact(target) as there:
            same = there.id == artifact.id and there.arrays.keys() == artifact.arrays.keys()
            return same and not there.verify()
    except (InputError, IntegrityError):
        return False


def _check_force(config: ConvertConfig, artifact: Artifact) -> None:
    if not config.force:
        raise OutputExistsError(
            str(config.target),
            expected="no file, or the same contents",
            got=_contents(config.target, artifact),
            fix="choose another target, or --force to move it aside",
        )


def _contents(target: Path, artifact: Artifact) -> str:
    """Return in words how a target was made, compared with the source."""
    with suppress(InputError, IntegrityError):  # a damaged target
        found, made = read_manifest(target), artifact.manifest
        if found is not None and made is not None and found.key != made.key:
            return described(found, made.recipe)
    return "other contents"
