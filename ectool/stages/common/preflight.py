"""Checks of a command that come before anything slow: paths, model and device.

Neither torch is imported nor data are read, except that torch is asked for a device where nothing
else tells whether the machine has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ectool.artifacts.differences import WITHOUT, described, in_the_way
from ectool.artifacts.store import check_suffix, read_manifest
from ectool.config import DeviceOptions, ModelOptions, TrainConfig
from ectool.distributed.world import world
from ectool.errors import InputError
from ectool.options import Options, Role, flag_of, role_of
from ectool.remote.commands import prepare
from ectool.stages.common.devices import AUTO, CPU, check_device
from ectool.stages.common.found_models import check_model
from ectool.stages.common.zero_shot import with_configuration

RESOLVED = ("mix", "batches")
"""Options that a stage may replace, so that the recipe may have another value."""


def check_early(options: Options) -> None:
    """Check what can be checked of a command before anything slow.

    Raises:
        InputError: An input is missing, or a folder cannot be written.
        UsageError: A suffix, the model or the device cannot be used.
        OutputExistsError: The output exists, was made with other options, and `force` is off.
    """
    prepare(options, is_alone=world().is_alone)
    for name, path in _paths(options, "input"):
        _check_input(f"{name} {path}", path)
    outputs = [*_paths(options, "output"), *_paths(options, "arrays")]
    for _, path in _paths(options, "arrays"):
        check_suffix(path)
    for name, path in outputs:
        if not path.exists():
            _check_folder(f"{name} {path}", path)
    if isinstance(options, ModelOptions) and options.model:
        check_model(options)
    _check_taken(options)
    if isinstance(options, DeviceOptions) and not any(path.exists() for _, path in outputs):
        _check_device(options)


def _paths(options: Options, role: Role) -> Iterator[tuple[str, Path]]:
    """Yield flag and path of every option with a role."""
    for name in type(options).model_fields:
        if role_of(type(options), name) == role:
            value = getattr(options, name)
            paths = value if isinstance(value, tuple) else (value,)
            yield from ((flag_of(type(options), name), Path(path)) for path in paths if path)


def _check_input(subject: str, path: Path) -> None:
    if not path.exists():
        raise InputError(
            subject,
            expected="a file or folder",
            got="no such file",
            fix="check the path, or run the command that makes it",
        )


def _check_folder(subject: str, path: Path) -> None:
    """Check that the folder of an output can be written, or made."""
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        got = f"{folder}, which is a file"
    elif not os.access(folder, os.W_OK | os.X_OK):
        got = f"{folder} without permission to write"
    else:
        return
    raise InputError(
        subject, expected="a folder to write into", got=got, fix="choose another output"
    )


def _check_taken(options: Options) -> None:
    """Check that no array artifact or model exists with other options of this command.

    The stage compares the rest, such as the data, when it has read them.
    """
    output = getattr(options, "output", None)
    if output is None or not output.exists() or getattr(options, "force", False):
        return
    is_new_model = isinstance(options, TrainConfig) and options.resume is None
    if is_new_model or role_of(type(options), "output") == "arrays":
        _check_same_options(output, options)


def _check_same_options(output: Path, options: Options) -> None:
    manifest = read_manifest(output)
    if manifest is None:
        raise in_the_way(output, WITHOUT)
    recipe = manifest.recipe
    known = with_configuration(options) if getattr(options, "model", None) else options
    given = {n: v for n, v in known.keyed().items() if v is not None and n not in RESOLVED}
    shared = {name: value for name, value in given.items() if name in recipe.config}
    wanted = recipe.model_copy(update={"config": {**recipe.config, **shared}})
    if wanted.key != recipe.key:
        raise in_the_way(output, described(manifest, wanted))


def _check_device(options: DeviceOptions) -> None:
    """Check that the machine has the device; ask torch if only that knows."""
    check_device(options.device)
    if options.device not in (AUTO, CPU):
        from ectool.stages.common.loaded import pick_device

        pick_device(options)
