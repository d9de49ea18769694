"""The study file: which models are trained and measured, and where their tables lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ectool.config import (
    EXPERIMENT_TABLE,
    STUDY_TABLE,
    DataOptions,
    StudyConfig,
    TrainConfig,
    ValidityConfig,
)
from ectool.errors import UsageError
from ectool.settings import read_toml, stage_table, validate, variables
from ectool.stages.common.code import check_named
from ectool.stages.validity.versions import Candidate, all_versions, needed

GIVEN = ("data", "rho", "seed", "until_epoch", "resume", "output")
"""Options of train that the study sets for each model."""


@dataclass(frozen=True)
class Checkpoint:
    """A model after an epoch of its schedule, and the images that it is measured on.

    Attributes:
        data: Data set.
        rho: Share of images whose background belongs to their class.
        seed: Seed of the training.
        epoch: Epoch after which it is measured.
    """

    data: str
    rho: float
    seed: int
    epoch: int

    @property
    def training(self) -> str:
        """Return the name of the training that it belongs to."""
        return f"{self.data.replace(':', '-').replace('/', '-')}-rho{self.rho:g}-seed{self.seed}"

    def __str__(self) -> str:
        return f"{self.training}-epoch{self.epoch}"


@dataclass(frozen=True)
class Study:
    """A study file, read and checked, and the folder of its results.

    Attributes:
        config: The `[study]` table.
        document: The whole file.
        file: Path of the file.
        folder: Folder of the results.
        machine: Options for device and threads, and `force`.
    """

    config: StudyConfig
    document: Mapping[str, Any]
    file: Path
    folder: Path
    machine: Mapping[str, Any]

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Yield every checkpoint, training by training, in the order of the epochs."""
        for data in self.config.data:
            for rho in self.config.rho:
                for seed in self.config.seeds:
                    for epoch in self.config.epochs:
                        yield Checkpoint(data, rho, seed, epoch)

    def training(self, checkpoint: Checkpoint) -> TrainConfig:
        """Return the options of train that reach a checkpoint from the one before it."""
        before = [epoch for epoch in self.config.epochs if epoch < checkpoint.epoch]
        base = self.folder / "models" / checkpoint.training
        given = {
            "data": checkpoint.data,
            "rho": checkpoint.rho,
            "seed": checkpoint.seed,
            "until_epoch": checkpoint.epoch,
            "resume": base / f"epoch{before[-1]}" if before else None,
            "output": base / f"epoch{checkpoint.epoch}",
        }
        return self._train(**given)

    def data_options(self, checkpoint: Checkpoint) -> DataOptions:
        """Return the options that open the images of a checkpoint."""
        training = self.training(checkpoint)
        names = set(DataOptions.model_fields)
        options = DataOptions(**training.model_dump(include=names))
        return options.model_copy(update={"fraction": 1.0, "limit": self.config.limit})

    def table(self, checkpoint: Checkpoint, part: str) -> Path:
        """Return the file of what is measured on a checkpoint."""
        return self.folder / "tables" / part / f"{checkpoint}.npz"

    def _train(self, **given: object) -> TrainConfig:
        table = stage_table(self.document, "train", self.file)
        own = {**variables(TrainConfig, "train"), **self.machine, **given}
        options = validate(TrainConfig, {**table, **own}, "train")
        check_named(options, f"{self.file}: [train] model", own)
        return options


def open_study(config: ValidityConfig) -> Study:
    """Read a study file and check it before anything is computed.

    Raises:
        InputError: The file is missing or not TOML.
        UsageError: It holds an unknown name or a value out of bounds.
    """
    document = read_toml(config.file)
    table = document.get(STUDY_TABLE)
    if table is None:
        raise UsageError(
            str(config.file),
            expected=f"a table [{STUDY_TABLE}]",
            got="none",
            fix=f"call `ectool run {config.file}`" if EXPERIMENT_TABLE in document else "add it",
        )
    _check_given(document, config.file)
    names = {"device", "threads", "force", "trust_code", "check_space"}
    machine = config.model_dump(include=config.model_fields_set & names)
    folder = config.output or Path("run") / config.file.stem
    study = Study(validate(StudyConfig, table, STUDY_TABLE), document, config.file, folder, machine)
    for name in ("chosen", "default"):
        _check_candidate(study.config, name)
    epochs = study.training(next(study.checkpoints())).epochs
    if study.config.epochs[-1] > epochs:
        raise UsageError(
            f"[{STUDY_TABLE}] epochs",
            expected=f"epochs of a schedule of {epochs}",
            got=str(study.config.epochs[-1]),
            fix="shorten the list, or change [train] epochs",
        )
    return study


def _check_candidate(config: StudyConfig, name: str) -> None:
    """Check that a candidate of the file compares versions that the study measures."""
    text = getattr(config, name)
    measured = all_versions(config)
    for version in needed(Candidate.parse(text, name).version, config):
        if version not in measured:
            known = dict.fromkeys(f"{one.kind}/{one.source}" for one in measured if one.source)
            raise UsageError(
                f"[{STUDY_TABLE}] {name}",
                expected=f"one of {', '.join(known)} with a level or radius of the study",
                got=repr(str(version)),
                fix="correct it, or add the level or radius",
            )


def _check_given(document: Mapping[str, Any], file: Path) -> None:
    """Check that the file leaves to the study what it sets itself."""
    for name in GIVEN:
        if name in document.get("train", {}):
            raise UsageError(
                f"{file}: [train] {name}",
                expected="options other than " + ", ".join(GIVEN),
                got=repr(name),
                fix="remove it; the study sets it",
            )
