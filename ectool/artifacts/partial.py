"""Writing of array artifacts: shard by shard under a temporary name, then renamed.

`NAME.partial-<key>/store` grows by one whole shard at a time; a marker file follows each finished
shard. After the last shard, contents are verified against the markers, the manifest is written,
everything is flushed, and the store is renamed to `NAME`. If the process is killed at any point,
the same command finds the same key and continues after the finished shards that are intact.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ectool.artifacts import files, versions, zarr_store
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.copying import copy
from ectool.artifacts.differences import described, in_the_way
from ectool.artifacts.hashing import digest_arrays, digest_each
from ectool.artifacts.jobs import locks, metadata, remains, writers
from ectool.artifacts.jobs.sealed import changed, read_table, write_table
from ectool.artifacts.manifest import FILE_NAME, Manifest, Recipe, Shard, make_manifest
from ectool.artifacts.own import keep_intact_own, restore_own
from ectool.artifacts.schema import VERSION, Arrays, check_finite
from ectool.artifacts.store import HDF5_SUFFIXES, check_suffix, read_manifest
from ectool.errors import InputError
from ectool.remote.outputs import uploading
from ectool.remote.reading import look
from ectool.remote.writing import Identity, Upload
from ectool.writing import write_atomic


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
    writers.remove_rest(output, partial_folder(output, recipe))
    return True


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
        self.form = metadata.Form(recipe.kind, length, shard_size, self.attributes)
        self.folder = partial_folder(output, recipe)
        self.store = self.folder / metadata.STORE
        self.own = self.folder / "own"
        self.versions: dict[str, str] = {}
        self.other_versions = ""
        self.lost: list[str] = []
        self.upload: Upload | None = None
        self._created = set[str]()

    def keep_intact(self, part: Collection[int] | None = None) -> None:
        """Remove what is damaged; `lost` has the paths of these files in the folder.

        Args:
            part: The shards of this job. Default: all.
        """
        self.lost = remains.keep_intact(self.folder, self.ranges, part)
        if part is None:
            self.lost += keep_intact_own(self.folder)

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
        return not self._marker(number).is_file()

    def is_intact(self, numbers: Iterable[int]) -> bool:
        """Return whether shards are finished and undamaged; everything in them is read."""
        wanted = set(numbers)
        found = remains.find_damage(self.folder, self.ranges, wanted)
        return not found.files and wanted == found.intact.keys()

    def write(self, number: int, arrays: Arrays, findings: dict[str, int]) -> None:
        """Write a whole shard, then its marker.

        Raises:
            InputError: It has NaN or infinity where the schema does not allow them.
        """
        start, stop = self.ranges[number]
        for name, values in arrays.items():
            check_finite(self.recipe.kind, name, values, f"{self.output}: {name}", start)
        if not arrays.keys() <= self._created:
            with locks.creating(self.folder):
                metadata.create(self.folder, arrays, self.form)
            self._created |= arrays.keys()
        for name, values in arrays.items():
            zarr_store.write_rows(self.store, name, start, values)
        shard = Shard(
            start=start,
            stop=stop,
            digest=digest_arrays(arrays),
            arrays=digest_each(arrays),
            findings=findings,
        )
        remains.write_marker(self.folder, number, shard)
        if self.upload is not None:
            self.upload.shard(number, self.folder, self._files(number, arrays))

    def _files(self, number: int, names: Iterable[str]) -> list[str]:
        """Return the files of a shard: its chunks, its marker, and those that describe all."""
        found = [*zarr_store.files_of(self.store, names, number), self._marker(number)]
        notes = [self.folder / name for name in sorted(files.NOTES - {files.LOCK_FILE})]
        found += [path for path in notes if path.exists()]
        return [path.relative_to(self.folder).as_posix() for path in found]

    def record_findings(self, findings: Mapping[str, float]) -> None:
        """Record findings of the whole that are known before the shards; `publish` adds them."""
        with locks.creating(self.folder):
            write_table(self.folder / files.FINDINGS_FILE, findings)

    def recorded_findings(self) -> dict[str, float]:
        """Return the recorded findings; empty if there are none."""
        return read_table(self.folder / files.FINDINGS_FILE)

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
        metadata.restore(self.folder)
        manifest = self._manifest(
            recipe or self.recipe, {**self.recorded_findings(), **(findings or {})}
        )
        write_atomic(self.store / FILE_NAME, manifest.to_bytes())
        with Artifact(self.store, self.recipe.kind) as artifact:
            self._check(artifact.verify())
        made = self._finished(manifest)
        restore_own(self.own, made)
        files.publish(made, self.output)
        if self.upload is not None:
            self.upload.publish(Identity(manifest.kind, manifest.key, manifest.id))
        files.remove_with_last(self.folder, files.JOB_FILE)
        return self.output

    def _check(self, damaged: Collection[int]) -> None:
        """Count damaged shards as unfinished.

        Raises:
            IntegrityError: There are any.
        """
        for number in damaged:
            files.remove(self._marker(number))
        if damaged:
            raise changed(f"{self.output}: shards {list(damaged)}")

    def _finished(self, manifest: Manifest) -> Path:
        """Return the finished output: the store, or a copy of it in one HDF5 file."""
        if self.output.suffix not in HDF5_SUFFIXES:
            return self.store
        with Artifact(self.store) as artifact:
            return copy(artifact, self.folder / "store.h5", manifest)

    def _manifest(self, recipe: Recipe, findings: Mapping[str, float]) -> Manifest:
        """Return the manifest of all shards, from their markers."""
        found = [remains.read_marker(self.folder, number) for number in range(len(self.ranges))]
        self._check([number for number, marker in enumerate(found) if marker is None])
        shards = tuple(marker.shard for marker in found if marker is not None)
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
        return remains.marker_path(self.folder, number)


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
        files.as_folder(partial.folder / remains.SHARDS)
        if upload is not None:
            upload.restore(partial.folder)
        partial.keep_intact()
        partial.other_versions = partial.begin(begun_with)
        yield partial
