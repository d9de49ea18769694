"""Models and methods that stages name: found, keyed and checked without loading them."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from ectool.artifacts import folder
from ectool.artifacts.hashing import digest_file, digest_json
from ectool.artifacts.manifest import Parent
from ectool.config import METHOD_GROUP, METHODS, ModelOptions
from ectool.errors import UsageError
from ectool.models.checkpoints.files import files_of
from ectool.models.names import program_file
from ectool.stages.common.code import code_digest, imported_module
from ectool.stages.common.inputs import parent_of
from ectool.stages.common.layout import SPEC_FILE

CODE = "code"
"""Role and kind of a module of the user's own; in place of a path, the parent holds its name."""


def method_entry(name: str) -> EntryPoint:
    """Return where an installed package offers a method that is not ours."""
    return next(iter(entry_points(group=METHOD_GROUP, name=name)))


def method_key(name: str) -> dict[str, str]:
    """Return what the key of an artifact holds of a method that is not ours: its maker, its code.

    The code counts beside the version, which stays when somebody edits an installed folder.

    Raises:
        InputError: The package's code is gone.
    """
    if name in METHODS:
        return {}
    entry = method_entry(name)
    return {
        "method_maker": f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value,
        "method_code": code_digest(entry.module),
    }


@dataclass(frozen=True)
class ModelReference:
    """A model that has been found but not loaded.

    Attributes:
        path: Folder of a model artifact, or file of a foreign checkpoint.
        kind: `model` or `checkpoint`.
        id: Content id.
        architecture: Name of the architecture of a foreign checkpoint.
        classes: Number of classes of a foreign checkpoint.
        is_program: Whether no heatmaps can be drawn of it.
        module: Module that makes the network, where it is the user's own.
    """

    path: Path
    kind: str
    id: str
    architecture: str | None = None
    classes: int | None = None
    is_program: bool = False
    module: str | None = None

    def parents(self, output: Path) -> list[Parent]:
        """Describe the model as an input, and the user's own code that makes its network."""
        found = [parent_of("model", self.path, self.kind, self.id, output)]
        return found + code_parents(self.module)


def code_parents(module: str | None) -> list[Parent]:
    """Describe a module of the user's own, which lies wherever Python finds it, as an input.

    Raises:
        InputError: It is not found.
    """
    if module is None:
        return []
    return [Parent(role=CODE, kind=CODE, id=code_digest(module), path=module)]


def find_model(options: ModelOptions) -> ModelReference:
    """Find the model that the options name, without loading it.

    Raises:
        InputError: There is no such artifact or checkpoint.
        UsageError: An architecture comes without --checkpoint or --classes, or an artifact with
            options of a checkpoint.
    """
    path, program = Path(options.model), program_file(options.model)
    is_artifact = path.exists() or os.sep in options.model
    if program is not None and options.checkpoint is not None:
        raise UsageError(
            "--checkpoint",
            expected="none beside a program, which holds its weights",
            got=str(options.checkpoint),
            fix="leave it out",
        )
    if options.checkpoint is None and path.is_file():
        raise UsageError(
            f"--model {options.model}",
            expected="a model artifact, which is a folder, or an architecture",
            got="a file",
            fix="name its architecture, and give the file as --checkpoint",
        )
    if options.checkpoint is None and program is None and is_artifact:
        _check_plain(options)
        manifest = folder.open_folder(path, "model")
        module = imported_module(_architecture_in(path))
        return ModelReference(path=path, kind="model", id=manifest.id, module=module)
    source = program or options.checkpoint
    if source is None or options.classes is None:
        missing = "--checkpoint" if source is None else "--classes"
        raise UsageError(
            f"--model {options.model}",
            expected="a model artifact, or an architecture with --checkpoint and --classes",
            got=f"no such artifact and no {missing}" if program is None else f"no {missing}",
            fix=f"check the path or add {missing}" if program is None else f"add {missing}",
        )
    return ModelReference(
        path=source,
        kind="checkpoint",
        id=f"{options.model}:{options.classes}:{checkpoint_digest(source)}",
        architecture=options.model,
        classes=options.classes,
        is_program=program is not None,
        module=imported_module(options.model),
    )


def _architecture_in(path: Path) -> str:
    """Return the architecture of a model artifact; nothing where its description is damaged."""
    with suppress(OSError, ValueError):  # loading it says what is wrong
        spec = json.loads((path / SPEC_FILE).read_text(encoding="utf-8"))
        return str(spec.get("architecture")) if isinstance(spec, dict) else ""
    return ""


def checkpoint_digest(path: Path) -> str:
    """Return the SHA-256 of a foreign checkpoint, all of its files, or of a program.

    Raises:
        InputError: There is no such file.
    """
    if path.is_file():
        return digest_file(path)
    return digest_json({file.name: digest_file(file) for file in files_of(path)})


def _check_plain(options: ModelOptions) -> None:
    """Check that nothing was said of a checkpoint where a model artifact says it all."""
    for name in ("entry", "mean", "std", "classes"):
        if getattr(options, name) is not None:
            raise UsageError(
                f"--{name}",
                expected="an architecture with --checkpoint",
                got=f"the model artifact {options.model}, which knows",
                fix="leave it out",
            )
