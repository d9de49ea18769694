"""Experiment loggers: TensorBoard, MLflow and Weights & Biases, updated after every epoch.

Loggers cannot change a model: they receive numbers of epochs that have been saved.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from ectool.artifacts import files
from ectool.errors import InputError

PROJECT = "ectool"
"""Default experiment of MLflow and project of Weights & Biases; their variables override it."""
SUFFIX = ".tensorboard"
"""Suffix of the folder for TensorBoard, next to the artifact."""


@dataclass(frozen=True)
class LoggedRun:
    """Training that is logged.

    Attributes:
        output: Path of the model artifact.
        key: Key of the artifact; a resumed training has the same key.
        config: Options of the training.
    """

    output: Path
    key: str
    config: Mapping[str, Any]


class Logger(Protocol):
    """Interface of loggers.

    Attributes:
        logged: Epochs that were logged before an interruption.
    """

    logged: frozenset[int]

    def scalars(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log the finite measures of an epoch; the first epoch is 1."""
        ...

    def close(self, artifact: str | None) -> None:
        """Log the id of the finished artifact, None where training failed, and close the logger."""
        ...


class TensorBoardLogger:
    """Event files in a folder next to the artifact; they are rewritten after an interruption."""

    def __init__(self, run: LoggedRun) -> None:
        folder = run.output.with_name(run.output.name + SUFFIX)
        for old in folder.glob("events.out.tfevents.*"):
            files.remove(old)
        self.logged: frozenset[int] = frozenset()
        self._writer = import_module("torch.utils.tensorboard").SummaryWriter(folder)
        self._writer.add_text("configuration", _listed(run.config))

    def scalars(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write and flush the measures, so that TensorBoard shows them during training."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self, artifact: str | None) -> None:
        """Write the id as text."""
        if artifact is not None:
            self._writer.add_text("artifact", artifact)
        self._writer.close()


class MlflowLogger:
    """A run of MLflow, identified by the key; variables of MLflow choose the server."""

    def __init__(self, run: LoggedRun) -> None:
        mlflow = import_module("mlflow")
        try:
            self._client = mlflow.MlflowClient()
            self._run = self._find(run)
            self._client.update_run(self._run, status="RUNNING")
            history = self._client.get_metric_history(self._run, "loss")
        except mlflow.exceptions.MlflowException as error:
            raise InputError(
                "--log mlflow",
                expected="a server or a store that this MLflow can write",
                got=" ".join(str(error).split()),
                fix="set MLFLOW_TRACKING_URI, or leave it out",
            ) from error
        self.logged = frozenset(int(point.step) for point in history)

    def _find(self, run: LoggedRun) -> str:
        """Return the id of the run with the key of the artifact; create it if needed."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        known = self._client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self._client.create_experiment(name)
        found = self._client.search_runs([experiment], f"tags.`ectool.key` = '{run.key}'")
        return str(found[0].info.run_id) if found else self._create(experiment, run)

    def _create(self, experiment: str, run: LoggedRun) -> str:
        """Create a run with the options as its parameters."""
        tags = {"ectool.key": run.key}
        made = self._client.create_run(experiment, tags=tags, run_name=str(run.output))
        for name, value in run.config.items():
            self._client.log_param(made.info.run_id, name, value)
        return str(made.info.run_id)

    def scalars(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log the measures in one request; the loss comes last and marks the epoch as complete."""
        metric = import_module("mlflow.entities").Metric
        now = int(time.time() * 1000)
        ordered = sorted(values.items(), key=lambda entry: entry[0] == "loss")
        self._client.log_batch(self._run, [metric(*entry, now, epoch) for entry in ordered])

    def close(self, artifact: str | None) -> None:
        """Tag the run with the id."""
        if artifact is not None:
            self._client.set_tag(self._run, "ectool.artifact", artifact)
        self._client.set_terminated(self._run, "KILLED" if artifact is None else "FINISHED")


class WandbLogger:
    """A run of Weights & Biases, identified by the key; its variables choose the server."""

    def __init__(self, run: LoggedRun) -> None:
        wandb = import_module("wandb")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run.key,
            name=str(run.output),
            config=dict(run.config),
            resume="allow",
            settings=wandb.Settings(console="off"),  # stdout is for data only
        )
        self.logged = frozenset(range(self._run.starting_step))

    def scalars(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log the measures as one step."""
        self._run.log(dict(values), step=epoch, commit=True)

    def close(self, artifact: str | None) -> None:
        """Write the id into the summary."""
        if artifact is not None:
            self._run.summary["artifact"] = artifact
        self._run.finish(exit_code=0 if artifact is not None else 1)


LOGGERS: Mapping[str, Callable[[LoggedRun], Logger]] = {
    "tensorboard": TensorBoardLogger,
    "mlflow": MlflowLogger,
    "wandb": WandbLogger,
}
"""Loggers by the names of `--log`, which are also the names of the optional dependencies."""


class Log:
    """All loggers of a training.

    Args:
        first: Number of epochs in the resumed artifact, which are not logged again.
    """

    def __init__(self, first: int = 0) -> None:
        self.artifact: str | None = None
        """Id of the artifact, set after it is published."""
        self._first = first
        self._logged: dict[Logger, set[int]] = {}

    def add(self, logger: Logger) -> None:
        """Add a logger."""
        self._logged[logger] = set(logger.logged) | set(range(self._first + 1))

    def record(self, history: Iterable[Mapping[str, float]]) -> None:
        """Log the epochs of a saved history that a logger does not have yet.

        The history of an interrupted training is included, so that no epoch is missing and all
        values are those of the artifact.
        """
        for entry in history:
            epoch = int(entry["epoch"])
            values = {k: v for k, v in entry.items() if k != "epoch" and math.isfinite(v)}
            for logger, logged in self._logged.items():
                if epoch not in logged:
                    logger.scalars(epoch, values)
                    logged.add(epoch)

    def close(self, logger: Logger) -> None:
        """Close a logger with the id of the artifact."""
        logger.close(self.artifact)


@contextmanager
def logging(names: Iterable[str], run: LoggedRun, first: int = 0) -> Iterator[Log]:
    """Open loggers by name, and close them at the end of the block, also after an error.

    Args:
        names: Names of `LOGGERS`.
        run: The training.
        first: Number of epochs in the resumed artifact, which are not logged again.
    """
    log = Log(first)
    with ExitStack() as opened:
        for name in dict.fromkeys(names):
            logger = LOGGERS[name](run)
            opened.callback(log.close, logger)
            log.add(logger)
        yield log


def check_installed(names: Iterable[str]) -> None:
    """Check that the packages of loggers are installed, before anything is computed.

    Raises:
        InputError: One is not installed.
    """
    for name in names:
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # a folder of that name, such as ./wandb
            raise InputError(
                f"--log {name}",
                expected=f"the package {name}",
                got="none installed",
                fix=f"pip install 'ectool[{name}]', or leave it out",
            )


def _listed(config: Mapping[str, Any]) -> str:
    """Return options as Markdown for TensorBoard."""
    return "\n".join(f"    {name} = {json.dumps(value)}" for name, value in config.items())
