"""Models and explanation methods that options name: found and checked, but not loaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from ectool.artifacts import folder
from ectool.artifacts.hashing import digest_file, digest_json
from ectool.artifacts.manifest import Parent
from ectool.config import METHOD_GROUP, METHODS, ModelOptions
from ectool.errors import UsageError, hint
from ectool.models.checkpoints.files import files_of
from ectool.models.description import read_description
from ectool.models.names import (
    check_architecture,
    is_zero_shot,
    plain_architectures,
    program_file,
    shown_architecture,
)
from ectool.models.zeroshot.prompts import Prompts
from ectool.stages.common.code import check_trusted, code_digest, imported_module
from ectool.stages.common.inputs import parent_of
from ectool.stages.common.layout import SPEC_FILE
from ectool.stages.common.zero_shot import prompts_of, with_configuration

if TYPE_CHECKING:  # importing torch takes seconds
    from ectool.models.classifier import Classifier

AUTO = "auto"
"""Stands for the number of classes in ids where it follows from the checkpoint."""
CODE = "code"
"""Role and kind of a user's module as a parent, which holds its name instead of a path."""


def method_entry(name: str) -> EntryPoint:
    """Return the entry point of a method of an installed package."""
    return next(iter(entry_points(group=METHOD_GROUP, name=name)))


def method_key(name: str) -> dict[str, str]:
    """Return the part of an artifact's key for a method of another package: version and code.

    The code is included because the version stays the same if somebody edits an installed folder.

    Raises:
        InputError: The package's code does not exist any more.
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
        path: Folder of a model artifact, or file of a checkpoint or program.
        kind: `model` or `checkpoint`.
        id: Content id.
        architecture: Name of the architecture of a checkpoint or program; None for an artifact.
        classes: Number of classes of a checkpoint or program, if it was given.
        is_program: Whether it is a program, which does not show its layers.
        module: The user's module that makes the network, if there is one.
        prompts: Those of a zero-shot classifier; None for other networks.
        held: Returns a new classifier of a network in memory, for images of a size; None for files.
    """

    path: Path
    kind: str
    id: str
    architecture: str | None = None
    classes: int | None = None
    is_program: bool = False
    module: str | None = None
    prompts: Prompts | None = None
    held: Callable[[tuple[int, int] | None], Classifier] | None = field(default=None, compare=False)

    def parents(self, output: Path) -> list[Parent]:
        """Return the model, and the user's module that makes its network, as parents."""
        found = [parent_of("model", self.path, self.kind, self.id, output)]
        return found + code_parents(self.module)


def code_parents(module: str | None) -> list[Parent]:
    """Return a user's module as a parent; Python finds it by its name.

    Raises:
        InputError: There is no such module.
    """
    if module is None:
        return []
    return [Parent(role=CODE, kind=CODE, id=code_digest(module), path=module)]


def find_model(options: ModelOptions) -> ModelReference:
    """Find the model that the options name; it is not loaded.

    Raises:
        InputError: There is no such artifact or checkpoint.
        UsageError: An architecture without --checkpoint, or an artifact with options of a
            checkpoint.
    """
    source = check_model(options)
    if source is None:
        return _artifact(Path(options.model))
    options = with_configuration(options)
    prompts = prompts_of(options.model, options)
    return ModelReference(
        path=source,
        kind="checkpoint",
        id=":".join(_parts_of_id(options, checkpoint_digest(source), prompts)),
        architecture=options.model,
        classes=options.classes,
        is_program=program_file(options.model) is not None,
        module=imported_module(options.model),
        prompts=prompts,
    )


def _parts_of_id(options: ModelOptions, digest: str, prompts: Prompts | None) -> list[str]:
    """Return what identifies a model of a checkpoint: all that its logits depend on."""
    parts = [options.model, str(options.classes or AUTO), digest]
    if prompts is None:
        return parts
    if shown_architecture(options.model) != options.model:
        parts[0] = f"openclip:{digest_json(options.model)}"
    return [*parts, digest_json(prompts.to_json())]


def check_model(options: ModelOptions) -> Path | None:
    """Check the model that the options name; its weights are not read.

    Returns:
        The file of a checkpoint or a program; None for a model artifact.

    Raises:
        InputError: There is no such artifact, file or architecture.
        UsageError: As in :func:`find_model`.
    """
    path, program = Path(options.model), program_file(options.model)
    if is_zero_shot(options.model):
        _check_zero_shot(options)
    if program is not None and options.checkpoint is not None:
        raise UsageError(
            "--checkpoint",
            expected="none with a program, which contains its weights",
            got=str(options.checkpoint),
            fix="leave it out",
        )
    if program is not None:
        check_trusted(options.model, "--model", trust_code=options.trust_code)
    source = program or options.checkpoint
    if source is None and path.is_file():
        raise UsageError(
            f"--model {options.model}",
            expected="a model artifact, which is a folder, or an architecture",
            got="a file",
            fix="give its architecture as --model, and the file as --checkpoint",
        )
    is_path = path.exists() or os.sep in options.model
    if source is None and is_path and not is_zero_shot(options.model):
        _check_plain(options)
        file = folder.verify_file(path / SPEC_FILE, folder.open_folder(path, "model"))
        named = read_description(file).architecture
        check_trusted(named, str(file), trust_code=options.trust_code)
        return None
    return _checkpoint_file(options, source)


def _artifact(path: Path) -> ModelReference:
    manifest = folder.open_folder(path, "model")
    module = imported_module(read_description(path / SPEC_FILE).architecture)
    return ModelReference(path=path, kind="model", id=manifest.id, module=module)


def _checkpoint_file(options: ModelOptions, source: Path | None) -> Path:
    """Return the file of a checkpoint or a program, after checking what comes with it."""
    if source is None:
        raise UsageError(
            f"--model {options.model}",
            expected="a model artifact, or an architecture with --checkpoint",
            got="no such artifact and no --checkpoint",
            fix=hint(options.model, plain_architectures()) + "check the path or add --checkpoint",
        )
    check_architecture(options.model)
    return source


def _check_zero_shot(options: ModelOptions) -> None:
    """Check the architecture first, and that the number of classes is not given.

    Raises:
        InputError: There is no such architecture.
        UsageError: The number of classes is given.
    """
    check_architecture(options.model)
    if options.classes is not None:
        raise UsageError(
            f"--classes {options.classes}",
            expected="none with a zero-shot classifier, which has the classes of its prompts",
            got=f"--model {shown_architecture(options.model)}",
            fix="leave it out",
        )


def checkpoint_digest(path: Path) -> str:
    """Return the SHA-256 of a program, or of all files of a checkpoint.

    Raises:
        InputError: There is no such file.
    """
    if path.is_file():
        return digest_file(path)
    return digest_json({file.name: digest_file(file) for file in files_of(path)})


def _check_plain(options: ModelOptions) -> None:
    """Check that a model artifact comes without options of a checkpoint."""
    for name in ("entry", "mean", "std", "classes", "prompts"):
        if getattr(options, name) is not None:
            raise UsageError(
                f"--{name}",
                expected="an architecture with --checkpoint",
                got=f"the model artifact {options.model}, which contains this",
                fix="leave it out",
            )
