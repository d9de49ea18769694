"""What stages read: data sets and models, named so that artifacts can be keyed without torch."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import numpy as np

from ectool.artifacts import folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.hashing import digest_file, digest_json
from ectool.artifacts.manifest import DataSource, Parent
from ectool.config import METHOD_GROUP, METHODS, DataOptions, ModelOptions, ViewOptions
from ectool.datasets.base import DataRequest, Dataset, Report, raise_fault
from ectool.datasets.labels import NO_TARGET, check_label_range
from ectool.datasets.registry import open_dataset
from ectool.datasets.views import View
from ectool.errors import AbsentError, InputError, UsageError
from ectool.models.checkpoint_files import files_of
from ectool.models.names import program_file
from ectool.settings import DATA_VARIABLE
from ectool.stages.code import code_digest, imported_module
from ectool.stages.layout import SPEC_FILE

CODE = "code"
"""Role and kind of a module of the user's own; in place of a path, the parent holds its name."""


def data_root() -> Path:
    """Return the folder under which data sets lie and made ones are cached."""
    return Path(os.environ.get(DATA_VARIABLE, "data"))


def data_request(
    options: DataOptions, split: str, variant: str = "original", report: Report = raise_fault
) -> DataRequest:
    """Return the request that options stand for, without the path of their URI."""
    return DataRequest(
        path="",
        split=split,
        root=data_root(),
        variant=variant,
        view=View(options.size, options.view),
        rho=options.rho,
        seed=options.data_seed,
        fold=options.fold,
        class_order=options.class_order,
        report=report,
    )


def open_data(
    options: DataOptions,
    split: str,
    variant: str = "original",
    *,
    checked: bool = True,
    report: Report = raise_fault,
) -> Dataset:
    """Open a split of the data set that the options name.

    Args:
        options: Name the data set, and how it is seen.
        split: One of its splits.
        variant: One of its background variants.
        checked: Whether labels outside of the classes are refused.
        report: Is told of faults that leave something of it.

    Raises:
        InputError: It is missing, invalid, or has no pictures in that split.
    """
    request = data_request(options, split, variant, report)
    dataset = open_dataset(options.data, request, options.fraction, options.limit)
    if len(dataset.sample_ids) == 0:
        raise AbsentError(
            f"{options.data} ({split})",
            expected="at least one picture",
            got="none",
            fix="choose another --split or --data",
        )
    if checked:
        check_label_range(dataset)
    return dataset


def view_options(uri: str, view: ViewOptions) -> DataOptions:
    """Return the options that open the data set of a URI in the way `view` tells."""
    return DataOptions(data=uri, **view.model_dump(include=set(ViewOptions.model_fields)))


def source_options(source: DataSource) -> DataOptions:
    """Return the options that open an artifact's data set again."""
    return DataOptions(data=source.data, **source.options)


def reopen_data(source: DataSource, where: Path) -> Dataset:
    """Open the data set of an artifact again.

    Args:
        source: What the artifact's manifest says of its data.
        where: The artifact, for the message.

    Raises:
        InputError: The data are missing, or not the same any more.
    """
    dataset = open_data(source_options(source), source.split)
    if dataset.fingerprint != source.fingerprint:
        raise InputError(
            f"{source.data} ({source.split})",
            expected=f"the data of {where}, fingerprint {source.fingerprint[:12]}",
            got=dataset.fingerprint[:12],
            fix="point ECTOOL_DATA or the data set's path at the same data",
        )
    return dataset


def data_source(options: DataOptions, split: str, dataset: Dataset) -> DataSource:
    """Describe an open data set for the manifest."""
    return DataSource(
        data=options.data,
        split=split,
        options=options.model_dump(mode="json", include=set(DataOptions.model_fields) - {"data"}),
        fingerprint=dataset.fingerprint,
    )


def parent_of(role: str, path: Path, kind: str, id: str, output: Path) -> Parent:
    """Describe an input for the manifest, its path relative to where the output lies."""
    relative = os.path.relpath(path.absolute(), output.absolute().parent)
    return Parent(role=role, kind=kind, id=id, path=Path(relative).as_posix())


def artifact_parent(role: str, artifact: Artifact, output: Path) -> Parent:
    """Describe an array artifact as an input."""
    return parent_of(role, artifact.path, artifact.kind, artifact.id, output)


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
        is_opaque: Whether no heatmaps can be drawn of it.
        module: Module that makes the network, where it is the user's own.
    """

    path: Path
    kind: str
    id: str
    architecture: str | None = None
    classes: int | None = None
    is_opaque: bool = False
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
        is_opaque=program is not None,
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


def check_images(samples: Artifact, dataset: Dataset, where: str) -> None:
    """Check that the pictures of samples can stand for those of a data set.

    Raises:
        InputError: They are of another type or size.
    """
    found, shape = samples.arrays["image"], (3, *dataset.size)
    if found.dtype != "uint8" or found.shape[1:] != shape:
        raise InputError(
            where,
            expected=f"uint8 pictures of shape {shape} as in {dataset.name}",
            got=f"{found.dtype} of shape {found.shape[1:]}",
            fix="give samples that were made of the same --data and --size",
        )


def check_same_labels(
    samples: Artifact, dataset: Dataset, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    """Check that samples have the labels of a data set, and with them the same order of classes.

    Args:
        samples: An artifact with labels.
        dataset: What it is joined with.
        rows: Rows of the artifact, and those of the data set they are joined with.

    Raises:
        InputError: A sample is of another class; the message names the first.
    """
    theirs, ours = samples.read("label")[rows[0]], dataset.labels[rows[1]]
    if theirs.shape != ours.shape:
        told, got = f"labels of shape {ours.shape}", str(theirs.shape)
    else:
        known = (theirs != NO_TARGET) & (ours != NO_TARGET)
        wrong = ((theirs != ours) & known).any(axis=tuple(range(1, ours.ndim)))
        if not wrong.any():
            return
        first = int(wrong.argmax())
        told = f"{ours[first]} for {dataset.sample_ids[int(rows[1][first])]!r} as in {dataset.name}"
        got = f"{theirs[first]} ({int(wrong.sum())} such samples)"
    raise InputError(
        f"{samples.path}: label",
        expected=told,
        got=got,
        fix="number the classes in the order of the data set (see --class-order)",
    )


def positions(wanted: list[str], known: list[str], where: str, fix: str) -> np.ndarray:
    """Return where each wanted sample lies among the known ones.

    Raises:
        InputError: A wanted sample is not known; the message names it.
    """
    index = {name: row for row, name in enumerate(known)}
    missing = [name for name in wanted if name not in index]
    if missing:
        raise InputError(
            where,
            expected=f"all {len(wanted)} samples",
            got=f"{len(missing)} missing, the first {missing[0]!r}",
            fix=fix,
        )
    return np.array([index[name] for name in wanted], dtype=np.int64)
