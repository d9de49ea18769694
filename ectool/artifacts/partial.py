"""Writing of array artifacts: shard by shard under a temporary name, then renamed.

`NAME.partial-<key>/store` grows by one whole shard at a time; a marker file follows each finished
shard. After the last shard, contents are verified against the markers, the manifest is written,
everything is flushed, and the store is renamed to `NAME`. If the process is killed at any point,
the same command finds the same key and continues after the finished shards.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ectool.artifacts import files, versions, zarr_store
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.copying import copy
from ectool.artifacts.differences import described, in_the_way
from ectool.artifacts.hashing import digest_arrays, digest_each
from ectool.artifacts.jobs import locks, writers
from ectool.artifacts.manifest import FILE_NAME, Manifest, Recipe, Shard, make_manifest
from ectool.artifacts.own import restore_own
from ectool.artifacts.schema import VERSION, Arrays, ArraySpec, check_finite, spec_of
from ectool.artifacts.store import HDF5_SUFFIXES, check_suffix, read_manifest
from ectool.errors import BusyOutputError, InputError, IntegrityError
from ectool.remote.outputs import uploading
from ectool.remote.reading import look
from ectool.remote.writing import Identity, Upload


def up_to_date(output: Path, recipe: Recipe, *, force: bool) -> bool:
    """Return whether an output with the key of the recipe exists; move another aside if forced.

    Raises:
        OutputExistsError: Another output exists and `force` is off.
    """
    if not is_current(output, recipe, force=force):
        if not output.exists():
            return False
        with writers.held(output):  # nobody else moves it, or writes the new one
            if not is_current(output, recipe, force=force):
                manifest = read_manifest(output) if output.exists() else None
                files.move_aside(output, manifest.key if manifest else "unknown")
                return False
    _remove_rest(output, partial_folder(output, recipe))
    return True


def _remove_rest(output: Path, folder: Path) -> None:
    """Remove the folder of an output that is finished, unless a process writes it again."""
    if folder.exists():
        with suppress(BusyOutputError), writers.held(output):
            files.remove(folder)


def is_current(output: Path, recipe: Recipe, *, force: bool) -> bool:
    """Return whether an output with the key of the recipe exists; change nothing.

    Raises:
        OutputExistsError: Another output exists and `force` is off.
    """
    look(output)
    manifest = read_manifest(output) if output.exists() else None
    if manifest is not None and manifest.key == recipe.key:
        return True
    if output.exists() and not force:
        raise in_the_way(output, described(manifest, recipe))
    return False


def partial_folder(output: Path, recipe: Recipe) -> Path:
    """Return the temporary folder of an unfinished output."""
    return output.with_name(f"{output.name}{files.UNFINISHED}{recipe.key[:16]}")


class PartialArtifact:
    """An unfinished array artifact; use as `with growing(...) as partial`."""

    def __init__(
        self,
        output: Path,
        recipe: Recipe,
        length: int,
        shard_size: int,
        attributes: Mapping[str, Any],
    ) -> None:
        self.output = check_suffix(output)
        self.recipe = recipe
        if length == 0:
            raise _without_samples(output)
        self.length = length
        self.shard_size = shard_size
        self.attributes = {**attributes, "schema": recipe.kind, "version": VERSION}
        self.folder = partial_folder(output, recipe)
        self.store = self.folder / "store.zarr"
        self.own = self.folder / "own"
        self.versions: dict[str, str] = {}
        self.other_versions = ""
        self.upload: Upload | None = None

    def begin(self, before: Mapping[str, str]) -> str:
        """Record the installed versions; describe those at the beginning if they differ.

        Args:
            before: Versions of the finished shards; the recorded ones unless given.
        """
        is_begun = len(self.missing()) < len(self.ranges)
        known = before or (versions.recorded(self.folder) if is_begun else {})
        self.versions = versions.record(self.folder, known)
        return versions.described(known)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """Return the [start, stop) row range of every shard."""
        starts = range(0, self.length, self.shard_size)
        return [(start, min(start + self.shard_size, self.length)) for start in starts]

    def missing(self) -> list[int]:
        """Return the numbers of the shards that are not finished."""
        return [number for number in range(len(self.ranges)) if self.is_missing(number)]

    def is_missing(self, number: int) -> bool:
        """Return whether a shard is not finished."""
        return not self._marker(number).exists()

    def write(self, number: int, arrays: Arrays, findings: dict[str, int]) -> None:
        """Write a whole shard, then its marker.

        Raises:
            InputError: It has NaN or infinity where the schema does not allow them.
        """
        start, stop = self.ranges[number]
        for name, values in arrays.items():
            check_finite(self.recipe.kind, name, values, f"{self.output}: {name}", start)
        with locks.creating(self.folder):
            self._create(arrays)
        for name, values in arrays.items():
            zarr_store.write_rows(self.store, name, start, values)
        shard = Shard(
            start=start,
            stop=stop,
            digest=digest_arrays(arrays),
            arrays=digest_each(arrays),
            findings=findings,
        )
        files.write_atomic(self._marker(number), shard.model_dump_json().encode())
        if self.upload is not None:
            self.upload.shard(number, self.folder, self._files(number, arrays))

    def _files(self, number: int, names: Iterable[str]) -> list[str]:
        """Return the files of a shard: its chunks, its marker, and those that describe all."""
        found = [*zarr_store.files_of(self.store, names, number), self._marker(number)]
        notes = [self.folder / name for name in sorted(files.NOTES - {files.LOCK_FILE})]
        found += [path for path in notes if path.exists()]
        return [path.relative_to(self.folder).as_posix() for path in found]

    def _create(self, arrays: Arrays) -> None:
        """Create the group, and the arrays that do not exist."""
        zarr_store.create_group(self.store, self.attributes)
        for name, values in arrays.items():
            if not (self.store / name / "zarr.json").exists():
                length, rows, spec = self.length, self.shard_size, self._spec(name)
                zarr_store.create_array(
                    self.store, name, values, length=length, rows=rows, spec=spec
                )

    def record_findings(self, findings: Mapping[str, float]) -> None:
        """Record findings of the whole that are known before the shards; `publish` adds them."""
        text = json.dumps(dict(findings), indent=1)
        with locks.creating(self.folder):
            files.write_atomic(self.folder / files.FINDINGS_FILE, text.encode())

    def recorded_findings(self) -> dict[str, float]:
        """Return the recorded findings; empty if there are none."""
        path = self.folder / files.FINDINGS_FILE
        found: dict[str, float] = json.loads(path.read_bytes()) if path.exists() else {}
        return found

    def publish(
        self, findings: Mapping[str, float] | None = None, recipe: Recipe | None = None
    ) -> Path:
        """Verify, write the manifest, flush and rename.

        Args:
            findings: Findings of the whole, in addition to the recorded ones.
            recipe: Complete inputs and options, if some were unknown at the beginning.

        Raises:
            IntegrityError: A shard does not read back as written; it will be computed again.
        """
        manifest = self._manifest(
            recipe or self.recipe, {**self.recorded_findings(), **(findings or {})}
        )
        files.write_atomic(self.store / FILE_NAME, manifest.to_bytes())
        self._verify()
        made = self._finished(manifest)
        restore_own(self.own, made)
        files.publish(made, self.output)
        if self.upload is not None:
            self.upload.publish(Identity(manifest.kind, manifest.key, manifest.id))
        files.remove(self.folder)
        return self.output

    def _verify(self) -> None:
        with Artifact(self.store, self.recipe.kind) as artifact:
            damaged = artifact.verify()
        for number in damaged:
            self._marker(number).unlink()
        if damaged:
            raise IntegrityError(
                f"{self.output}: shards {damaged}",
                expected="the bytes that were written",
                got="others",
                fix="run the same command again, and check the disk",
            )

    def _finished(self, manifest: Manifest) -> Path:
        """Return the finished output: the store, or a copy of it in one HDF5 file."""
        if self.output.suffix not in HDF5_SUFFIXES:
            return self.store
        with Artifact(self.store) as artifact:
            return copy(artifact, self.folder / "store.h5", manifest)

    def _manifest(self, recipe: Recipe, findings: Mapping[str, float]) -> Manifest:
        """Return the manifest of all shards, from their markers."""
        texts = [self._marker(number).read_text() for number in range(len(self.ranges))]
        shards = tuple(Shard.model_validate_json(text) for text in texts)
        return make_manifest(
            recipe,
            length=self.length,
            shards=shards,
            findings=dict(findings),
            attributes=self.attributes,
            versions=self.versions,
            machine=versions.recorded_machine(self.folder),
        )

    def _marker(self, number: int) -> Path:
        return self.folder / "shards" / f"{number:06d}.json"

    def _spec(self, name: str) -> ArraySpec:
        spec = spec_of(self.recipe.kind, name)
        if spec is None:
            raise KeyError(f"the schema {self.recipe.kind} has no array {name}")
        return spec


def _without_samples(output: Path) -> InputError:
    return InputError(
        f"{output}: sample_id", expected="at least one sample", got="none", fix="check the input"
    )


@contextmanager
def growing(
    output: Path,
    recipe: Recipe,
    *,
    length: int,
    shard_size: int,
    attributes: Mapping[str, Any] = MappingProxyType({}),
    begun_with: Mapping[str, str] = MappingProxyType({}),
    is_repaired: bool = False,
) -> Iterator[PartialArtifact]:
    """Hold the lock of an unfinished output; finished shards stay if the block fails.

    Args:
        output: Its final path.
        recipe: Inputs and options.
        length: Number of samples.
        shard_size: Samples per shard.
        attributes: Root attributes in addition to schema and version.
        begun_with: Versions of shards that are copied from a finished output.
        is_repaired: Whether the finished output is there, and is written again.

    Raises:
        InputError: It would have no samples.
        BusyOutputError: Another process holds the lock.
        FinishedMeanwhileError: Another process has published it.
    """
    partial = PartialArtifact(output, recipe, length, shard_size, attributes)
    with writers.exclusive(partial.folder, output), uploading(output, recipe.key) as upload:
        if output.exists() and not is_repaired:
            raise files.finished_meanwhile(output)
        partial.upload = upload
        locks.wait_for_followers(partial.folder, output)
        files.make_folder(partial.folder / "shards")
        if upload is not None:
            upload.restore(partial.folder)
        zarr_store.remove_unfinished(partial.store)
        partial.other_versions = partial.begin(begun_with)
        yield partial
