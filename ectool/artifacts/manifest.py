"""The manifest: kind, inputs, options and digests of an artifact."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from ectool import input_files
from ectool.artifacts.hashing import digest_json
from ectool.artifacts.integrity.sealed_documents import sealed, unsealed
from ectool.artifacts.schema import VERSION
from ectool.errors import InputError, IntegrityError
from ectool.parsing import validated

FILE_NAME = "manifest.json"
LIBRARIES = (
    *("ectool", "torch", "torchvision", "timm", "numpy", "scipy", "zarr", "h5py"),
    *("scikit-learn", "pillow"),
)
STORING = ("zarr", "h5py")
"""Libraries that store results and do not change them."""
ABSENT = "not installed"
FIRST_OPTIONS = {"size", "rho", "data_seed"}
"""Options of data sets in manifests of the first version."""


class Parent(BaseModel):
    """An artifact or file that this one was made of.

    Attributes:
        role: Its role in the stage, e.g. `model`.
        kind: Its schema; `checkpoint` for a foreign file.
        id: Its content id.
        path: Its path relative to the folder of this artifact; a hint, not a key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    role: str
    kind: str
    id: str
    path: str


class DataSource(BaseModel):
    """The data set of an artifact, with all options to open it again.

    Attributes:
        data: Its URI.
        split: The split.
        options: The other options it was opened with, by name.
        fingerprint: SHA-256 of its contents.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    data: str
    split: str
    options: dict[str, Any]
    fingerprint: str

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, value: object) -> object:
        """Read the form of the first version, which had the options beside the other entries."""
        if not isinstance(value, dict) or "options" in value or not value.keys() >= FIRST_OPTIONS:
            return value
        options = {name: value[name] for name in FIRST_OPTIONS}
        return {"options": options, **{n: v for n, v in value.items() if n not in FIRST_OPTIONS}}


class Shard(BaseModel):
    """Rows [start, stop) of an array artifact.

    Attributes:
        start: First row.
        stop: Row after the last.
        digest: SHA-256 of the contents of the rows.
        arrays: SHA-256 of each array alone, by name; empty if an earlier version wrote it.
        findings: Counts of findings in these rows, by name, e.g. `zero_maps`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    start: int
    stop: int
    digest: str
    arrays: dict[str, str] = {}
    findings: dict[str, int] = {}


class Recipe(BaseModel):
    """Everything that determines an artifact before it is computed."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: str
    stage: str
    config: dict[str, Any]
    parents: tuple[Parent, ...] = ()
    source: DataSource | None = None

    @property
    def key(self) -> str:
        """Return the SHA-256 of all that can change the result: options, input ids, data."""
        return digest_json(
            {
                "kind": self.kind,
                "version": VERSION,
                "stage": self.stage,
                "config": self.config,
                "parents": {parent.role: parent.id for parent in self.parents},
                "data": self.source.fingerprint if self.source else None,
            }
        )


class Manifest(BaseModel):
    """The record written last, inside every artifact.

    Attributes:
        kind: Schema name, or `model` or `evaluation`.
        version: Version of the schema.
        key: Key of the recipe: equal keys mean that nothing has to be computed.
        id: SHA-256 over the contents: equal ids mean equal contents.
        recipe: Inputs and options of the artifact.
        versions: Version of Python and of each library; two, joined by `and`, if the version
            changed before the artifact was finished.
        machine: `device` and `threads` of the process that finished it, if it computed with torch;
            not in key or id, because results agree within rounding.
        findings: Findings of the whole, by name, e.g. `effective_sample_size`.
        length: Number of samples.
        shards: Finished shards of an array artifact.
        files: SHA-256 by file name of a folder artifact.
        attributes: SHA-256 of the canonical JSON of each root attribute that the stage wrote.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: str
    version: int
    key: str
    id: str
    recipe: Recipe
    versions: dict[str, str]
    machine: dict[str, str | int] = {}
    findings: dict[str, float] = {}
    length: int = 0
    shards: tuple[Shard, ...] = ()
    files: dict[str, str] = {}
    attributes: dict[str, str] = {}

    @property
    def content_id(self) -> str:
        """Return the id that follows from its digests."""
        return _content_id(self.kind, self.shards, self.files)

    def all_findings(self) -> dict[str, float]:
        """Return the findings of the whole, and the sums of the findings of the shards."""
        total = Counter[str]()
        for shard in self.shards:
            total.update(shard.findings)
        return {**total, **self.findings}

    def to_bytes(self) -> bytes:
        """Return the manifest as indented JSON, with the digest of this text."""
        return sealed(self.model_dump_json(indent=1))


def make_manifest(
    recipe: Recipe,
    *,
    length: int = 0,
    shards: tuple[Shard, ...] = (),
    files: dict[str, str] | None = None,
    findings: dict[str, float] | None = None,
    attributes: Mapping[str, Any] = MappingProxyType({}),
    versions: Mapping[str, str] | None = None,
    machine: Mapping[str, str | int] = MappingProxyType({}),
) -> Manifest:
    """Return the manifest of a recipe and its results."""
    return Manifest(
        kind=recipe.kind,
        version=VERSION,
        key=recipe.key,
        id=_content_id(recipe.kind, shards, files or {}),
        recipe=recipe,
        versions=dict(versions or library_versions()),
        machine=dict(machine),
        findings=findings or {},
        length=length,
        shards=shards,
        files=files or {},
        attributes={name: digest_json(value) for name, value in attributes.items()},
    )


def _content_id(kind: str, shards: tuple[Shard, ...], files: dict[str, str]) -> str:
    digests = [shard.digest for shard in shards]
    return digest_json({"kind": kind, "shards": digests, "files": files})


def stored_manifest(folder: Path) -> bytes | None:
    """Return the bytes of the manifest in the folder of an artifact; None without one.

    Raises:
        IntegrityError: There is something other than a regular file.
    """
    file = folder / FILE_NAME
    if not file.exists():
        return None
    try:
        return input_files.read_bytes(file, input_files.ANY)
    except (InputError, IsADirectoryError) as error:
        got = error.got if isinstance(error, InputError) else "a folder"
        raise IntegrityError(
            str(file), expected="a regular file", got=got, fix="restore it, or use --resume"
        ) from None


def parse_manifest(text: str | bytes, where: Path) -> Manifest:
    """Read the JSON of a manifest.

    Raises:
        InputError: It is not a manifest of a supported version.
        IntegrityError: Its text does not match its digest, or its key or its id its contents.
    """
    body = unsealed(text.encode() if isinstance(text, str) else text, where)
    expected, fix = "a manifest written by ectool", "make the artifact again"
    manifest = validated(Manifest, body, str(where), expected=expected, fix=fix)
    if manifest.version != VERSION:
        raise InputError(
            str(where),
            expected=f"schema version {VERSION}",
            got=str(manifest.version),
            fix="use the ectool that wrote it, or make it again",
        )
    _check_consistent(manifest, where)
    return manifest


def _check_consistent(manifest: Manifest, where: Path) -> None:
    """Check that key and id match the contents."""
    for name, stored, found in (
        ("key", manifest.key, manifest.recipe.key),
        ("id", manifest.id, manifest.content_id),
    ):
        if stored != found:
            raise IntegrityError(
                f"{where}: {name}",
                expected="the manifest that was written",
                got=f"another, whose {name} would be {found[:12]} in place of {stored[:12]}",
                fix="restore it, or make the artifact again",
            )


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that can change a result."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ABSENT
    return found
