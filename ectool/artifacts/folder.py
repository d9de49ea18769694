"""Folder artifacts (models, evaluations): plain files and a manifest with their digests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from ectool import writing
from ectool.artifacts import files, versions
from ectool.artifacts.hashing import digest_file
from ectool.artifacts.jobs import states, writers
from ectool.artifacts.jobs.sealed import changed
from ectool.artifacts.manifest import (
    FILE_NAME,
    Manifest,
    Recipe,
    make_manifest,
    parse_manifest,
    stored_manifest,
)
from ectool.artifacts.partial import partial_folder
from ectool.errors import InputError, IntegrityError
from ectool.remote import outputs
from ectool.remote.reading import look
from ectool.remote.writing import Identity, Upload
from ectool.writing import write_atomic


class PartialFolder:
    """An unfinished folder artifact; the folder `store` is published in the end."""

    def __init__(self, output: Path, recipe: Recipe) -> None:
        self.output = output
        self.recipe = recipe
        self.scratch = partial_folder(output, recipe)
        self.store = self.scratch / files.STORE
        self.versions: dict[str, str] = {}
        self.other_versions = ""
        self.lost: list[str] = []
        self.upload: Upload | None = None

    def begin(self) -> None:
        """Keep intact intermediate results, and describe their versions if others are installed.

        `lost` has the paths of damaged files in the temporary folder.
        """
        kept, self.lost = states.keep_intact(self.scratch)
        known = states.versions_of(kept[-1]) if kept else {}
        self.versions = versions.record(self.scratch, known)
        self.other_versions = versions.described(known)

    def save(self, state: Path) -> None:
        """Keep a finished state, of which the last one is enough to go on."""
        if self.upload is not None:
            self.upload.save(self.scratch, state.name)

    def publish(self, checksums: Mapping[str, str]) -> Path:
        """Write the manifest over the store's files, flush and rename.

        Args:
            checksums: CRC-32C of the bytes that were computed, by name of the file.

        Raises:
            IntegrityError: A file has other bytes.
        """
        machine = versions.recorded_machine(self.scratch)
        manifest = seal(
            self.store,
            self.recipe,
            made_with=self.versions,
            machine=machine,
            checksums=checksums,
        )
        files.publish(self.store, self.output)
        if self.upload is not None:
            self.upload.publish(Identity(manifest.kind, manifest.key, manifest.id))
        files.remove(self.scratch)
        return self.output


@contextmanager
def building(output: Path, recipe: Recipe) -> Iterator[PartialFolder]:
    """Hold the lock of an unfinished folder artifact; its files stay if the block fails.

    Raises:
        BusyOutputError: Another process holds the lock.
        FinishedMeanwhileError: Another process has published it.
    """
    partial = PartialFolder(output, recipe)
    with (
        writers.exclusive(partial.scratch, output),
        outputs.uploading(output, recipe.key) as upload,
    ):
        if output.exists():
            raise files.finished_meanwhile(output)
        partial.upload = upload
        if upload is not None:
            upload.restore(partial.scratch)
        partial.begin()
        yield partial


def seal(
    folder: Path,
    recipe: Recipe,
    *,
    findings: Mapping[str, float] | None = None,
    length: int = 0,
    only: Collection[str] | None = None,
    made_with: Mapping[str, str] | None = None,
    machine: Mapping[str, str | int] = MappingProxyType({}),
    checksums: Mapping[str, str] = MappingProxyType({}),
) -> Manifest:
    """Write the manifest of a folder whose files are complete.

    Args:
        folder: The folder.
        recipe: Inputs and options.
        findings: Findings of the stage.
        length: Number of samples.
        only: Names of the files that belong to the artifact; all files unless given.
        made_with: Versions of the libraries; the installed ones unless given.
        machine: Device and threads.
        checksums: CRC-32C of the bytes that were computed, by name of the file.

    Raises:
        IntegrityError: A file has other bytes than its checksum says.
    """
    writing.remove_unfinished(folder)
    files.remove(folder / (FILE_NAME + writing.TEMPORARY))  # of an earlier version
    names = sorted(only or (path.name for path in folder.iterdir() if path.is_file()))
    digests = {name: digest_file(folder / name) for name in names if name != FILE_NAME}
    for name, checksum in checksums.items():
        if not states.matches(folder / name, checksum):
            raise changed(folder / name)
    manifest = make_manifest(
        recipe,
        files=digests,
        findings=dict(findings or {}),
        length=length,
        versions=made_with,
        machine=machine,
    )
    write_atomic(folder / FILE_NAME, manifest.to_bytes())
    return manifest


def upload(folder: Path, manifest: Manifest) -> None:
    """Write the files of a sealed folder to its address, if it has one."""
    identity = Identity(manifest.kind, manifest.key, manifest.id)
    outputs.publish(folder, identity, {*manifest.files, FILE_NAME})


def open_folder(path: Path, kind: str | None) -> Manifest:
    """Return the manifest of a finished folder artifact of a kind, or of any kind if None.

    Raises:
        InputError: It is missing, unfinished, or of another kind.
        IntegrityError: Its manifest is damaged.
    """
    look(path)
    text = stored_manifest(path)
    if text is None:
        raise InputError(
            str(path),
            expected=f"{kind or 'folder'} artifact",
            got="no folder" if not path.exists() else f"a path without {FILE_NAME}",
            fix="check the path, or run the stage that makes it",
        )
    manifest = parse_manifest(text, path / FILE_NAME)
    if kind not in (None, manifest.kind):
        raise InputError(
            str(path), expected=f"{kind} artifact", got=manifest.kind, fix="check the path"
        )
    return manifest


def verify_file(path: Path, manifest: Manifest) -> Path:
    """Return a file of a folder artifact after comparing its digest with the manifest.

    Raises:
        IntegrityError: It is missing or its bytes have changed.
    """
    if not path.is_file() or digest_file(path) != manifest.files.get(path.name):
        raise IntegrityError(
            str(path),
            expected="the bytes that were written",
            got="others" if path.is_file() else "no file",
            fix="run the stage that made it again into a new --output",
        )
    return path
