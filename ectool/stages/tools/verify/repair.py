"""`verify --repair`: restore from copies, keep what is intact, and name the command for the rest.

Nothing is removed: what is replaced stays beside it, as `NAME.old-damaged`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ectool import urls
from ectool.artifacts import files
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.copying import copy
from ectool.artifacts.hashing import digest_file
from ectool.artifacts.integrity.arrays import array_problems
from ectool.artifacts.integrity.folders import EVALUATION, folder_problems
from ectool.artifacts.integrity.problem import Problem
from ectool.artifacts.jobs import writers
from ectool.artifacts.jobs.reopening import reopen
from ectool.artifacts.manifest import FILE_NAME, Manifest
from ectool.artifacts.store import HDF5_SUFFIXES, ZARR_SUFFIX, known_manifest
from ectool.errors import EctoolError, InputError, IntegrityError
from ectool.input_files import real_path
from ectool.stages.common.layout import RESULTS_FILE
from ectool.stages.tools.restoring import moved
from ectool.stages.tools.verify.artifacts import on_folder
from ectool.stages.tools.verify.origin import command_for
from ectool.stages.tools.verify.verdict import Verdict
from ectool.writing import write_atomic

DAMAGED = "damaged"
"""End of the name of what was moved aside."""


@dataclass(frozen=True)
class Repairs:
    """What is known of intact artifacts, for the repair of damaged ones.

    Attributes:
        copies: Paths of intact artifacts by their id.
        ids: Ids of artifacts by their paths, from what was made of them.
        folders: Folders of artifacts, whose files may be copies.
    """

    copies: dict[str, Path]
    ids: dict[Path, str]
    folders: tuple[Path, ...]

    @classmethod
    def of(cls, verdicts: Sequence[Verdict]) -> Repairs:
        """Return what verdicts tell."""
        intact = [one for one in verdicts if one.state == "intact"]
        found = {one.path: known_manifest(one.path) for one in intact}
        return cls(
            copies={manifest.id: path for path, manifest in found.items() if manifest is not None},
            ids={real_path(path): id for one in verdicts for path, id in one.needs.items()},
            folders=tuple(one.path for one in verdicts if one.path.is_dir()),
        )

    def repair(self, verdict: Verdict) -> str:
        """Repair what a verdict is about; return what was done, and what is left to do."""
        path = verdict.path
        is_artifact = path.suffix in (ZARR_SUFFIX, *HDF5_SUFFIXES) or path.is_dir()
        if urls.url_of(path) is not None:
            return "an address: copy it here to repair it"
        if verdict.state != "damaged" or not is_artifact:
            return f"run {command_for(path, None)} again"
        if path.suffix in (ZARR_SUFFIX, *HDF5_SUFFIXES):
            return self._arrays(path)
        with writers.held(path):
            if verdict.kind == EVALUATION:
                return _evaluation(path)
            return self._folder(path)

    def _copy_of(self, path: Path, manifest: Manifest | None) -> Path | None:
        """Return an intact artifact with the contents that a path had."""
        id = manifest.id if manifest is not None else self.ids.get(real_path(path))
        found = self.copies.get(id or "")
        return None if found == path else found

    def _arrays(self, path: Path) -> str:
        """Repair an array artifact: from a copy, from its own contents, or shard by shard."""
        manifest = known_manifest(path)
        if (source := self._copy_of(path, manifest)) is not None:
            with writers.held(path):
                return f"restored from {source}; the old one is {_rewrite(source, path).name}"
        command = command_for(path, manifest)
        if manifest is not None:
            with suppress(InputError, IntegrityError):  # not even a part of it can be read
                return _kept(path, manifest, command)
        with writers.held(path):
            aside = files.move_aside(path, DAMAGED)
        return f"moved aside to {aside.name}; run {command} again"

    def _folder(self, path: Path) -> str:
        """Repair a model: its files from copies of any folder, or all of it from a copy."""
        manifest = known_manifest(path)
        source = self._copy_of(path, manifest)
        if manifest is None:
            if source is not None and (known := known_manifest(source)) is not None:
                return _restore_folder(path, source, known)
            aside = files.move_aside(path, DAMAGED)
            return f"moved aside to {aside.name}; run {command_for(path, None)} again"
        done = _move_extra(path, folder_problems(path, is_closed=True))
        for name, digest in manifest.files.items():
            if (path / name).is_file() and digest_file(path / name) == digest:
                continue
            found = next(self._same_files(name, digest), None)
            if found is None:
                aside, command = files.move_aside(path, DAMAGED), command_for(path, manifest)
                return f"no copy of {name}: moved aside to {aside.name}; run {command} again"
            _replace_file(found, path / name)
            done.append(f"{name} from {found.parent}")
        return f"restored: {', '.join(done)}"

    def _same_files(self, name: str, digest: str) -> Iterator[Path]:
        """Yield files of a name and a digest in other artifacts."""
        for folder in self.folders:
            file = folder / name
            if file.is_file() and not file.is_symlink() and digest_file(file) == digest:
                yield file


def _kept(path: Path, manifest: Manifest, command: str) -> str:
    """Keep what is intact of an array artifact.

    Raises:
        EctoolError: It cannot be opened.
    """
    with writers.held(path):
        moved_files = _move_extra(path, array_problems(path) or [])
        problems = array_problems(path) or []
        if not problems:
            return f"moved {', '.join(moved_files)} out of it"
        if not any(problem.part.startswith("shard ") for problem in problems):
            with suppress(EctoolError):  # an array is missing, or cannot be read
                return f"written anew from its contents; the old one is {_rewrite(path, path).name}"
    rows = max(shard.stop - shard.start for shard in manifest.shards)
    shards = reopen(path, manifest.recipe, shard_size=rows) or []
    return f"shards {shards} have to be computed again, the others stay; run {command}"


def _rewrite(source: Path, path: Path) -> Path:
    """Write an artifact anew from another one, or from itself; return where the old one is."""
    scratch = path.with_name(path.name + files.REPAIRING)
    files.remove(scratch)
    files.make_folder(scratch)
    try:
        with Artifact(source) as artifact:
            own = artifact.manifest
            manifest = None if own is None else moved(own, source, path)
            made = copy(artifact, scratch / path.name, manifest)
        aside = files.move_aside(path, DAMAGED)
        files.publish(made, path)
    finally:
        files.remove(scratch)
    return aside


def _restore_folder(path: Path, source: Path, manifest: Manifest) -> str:
    """Replace a folder by a copy of another one, with the paths of its own parents."""
    scratch = path.with_name(path.name + files.REPAIRING)
    files.remove(scratch)
    shutil.copytree(source, scratch)
    (scratch / FILE_NAME).write_bytes(moved(manifest, source, path).to_bytes())
    aside = files.move_aside(path, DAMAGED)
    files.publish(scratch, path)
    return f"restored from {source}; the old one is {aside.name}"


def _replace_file(source: Path, file: Path) -> None:
    """Replace a file of a folder by a copy; the old one goes beside the folder."""
    if file.exists():
        _move_out(file)
    write_atomic(file, source.read_bytes())


def _move_extra(path: Path, problems: Sequence[Problem]) -> list[str]:
    """Move files that do not belong to an artifact beside it; return their names."""
    extra = [one.extra for one in problems if one.extra is not None]
    for file in extra:
        _move_out(file, path)
    return [file.relative_to(path).as_posix() for file in extra]


def _move_out(file: Path, artifact: Path | None = None) -> None:
    """Move a file into a folder beside the artifact that it lies in."""
    whole = artifact or file.parent
    folder = whole.with_name(f"{whole.name}.old-{DAMAGED}-files")
    place = folder / file.relative_to(whole)
    files.make_folder(place.parent)
    while place.exists():
        place = place.with_name(place.name + ".old")
    file.replace(place)
    with suppress(OSError):  # it holds something else
        file.parent.rmdir()


def _evaluation(path: Path) -> str:
    """Move the manifest of an evaluation aside, so that the command looks at every part."""
    if on_folder(path).state == "intact":
        return "nothing is left to do: its parts have been repaired"
    command = command_for(path, known_manifest(path))
    for name in (RESULTS_FILE, FILE_NAME):
        if (path / name).exists():
            files.move_aside(path / name, DAMAGED)
    return f"its results have to be computed again from the parts; run {command}"
