"""The command that makes an artifact again, from the options and inputs in its manifest."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from ectool import urls
from ectool.artifacts.manifest import FILE_NAME, Manifest
from ectool.artifacts.store import known_manifest
from ectool.config import STAGES
from ectool.errors import EctoolError
from ectool.options import Options, flag_of, format_value
from ectool.stages.common.layout import EXPERIMENT_FILE

RESUMED = ("perturb", "explain", "score")
"""Stages with `--resume`, which checks every shard."""


def command_for(path: Path, manifest: Manifest | None) -> str:
    """Return the command that makes an artifact again: of the whole that it is part of.

    Args:
        path: Path of the artifact.
        manifest: Its manifest, if it can be read.
    """
    above = list(path.absolute().parents)
    for folder in above:
        if (folder / EXPERIMENT_FILE).exists():
            return f"`ectool run` with the same file and --output {shlex.quote(str(folder))}"
    for folder in above:
        found = known_manifest(folder) if (folder / FILE_NAME).is_file() else None
        if found is not None:
            return _command(folder, found, is_resumed=True)
    if manifest is None:
        return "the command that made it"
    return _command(path, manifest, is_resumed=manifest.recipe.stage in RESUMED)


def _command(path: Path, manifest: Manifest, *, is_resumed: bool) -> str:
    """Return the command line of a stage; only its name if the options do not tell it."""
    stage = manifest.recipe.stage
    model = STAGES.get(stage)
    given = {} if model is None else _given(path, manifest, model)
    if model is None or not _gives(model, given, manifest.recipe.config):
        return f"`ectool {stage}` with the same options and --output {shlex.quote(str(path))}"
    words = ["ectool", stage]
    for name, value in given.items():
        words += _words(flag_of(model, name), value)
    return "`" + shlex.join([*words, *(["--resume"] * is_resumed)]) + "`"


def _given(path: Path, manifest: Manifest, model: type[Options]) -> dict[str, Any]:
    """Return the options that differ from their defaults, the inputs and the output."""
    recipe, fields = manifest.recipe, model.model_fields
    folder = path.absolute().parent
    found: dict[str, Any] = {
        parent.role: os.path.normpath(urls.place(folder, parent.path))
        for parent in recipe.parents
        if parent.role in fields
    }
    source = recipe.source
    if source is not None and "samples" not in found:
        found |= {"data": source.data, **source.options}
    known = {**found, **recipe.config}
    differing = {
        name: value
        for name, value in known.items()
        if name in fields and value not in (None, [], _default(fields[name]))
    }
    return {**differing, "output": str(path)}


def _default(field: FieldInfo) -> object:
    """Return the default of an option as a JSON value."""
    found: object = field.get_default(call_default_factory=True)
    return list(found) if isinstance(found, tuple) else found


def _gives(model: type[Options], given: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Return whether options give a configuration; entries that are no options do not count."""
    try:
        keyed = model.model_validate(dict(given)).keyed()
    except (ValidationError, EctoolError):
        return False
    return all(keyed.get(name) == value for name, value in config.items() if name in keyed)


def _words(flag: str, value: Any) -> list[str]:  # noqa: ANN401 (of any option)
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag.removeprefix('--')}"]
    return [flag, format_value(value)]
