"""Experiment loggers: the learning curve of a training, told to other programs while it grows.

Nothing here can change a model: a logger gets numbers that have been saved already.
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
"""Experiment of MLflow and project of Weights & Biases, unless their own variables name one."""
SUFFIX = ".tensorboard"
"""What is added to the name of an artifact for the folder of TensorBoard's files beside it."""


@dataclass(frozen=True)
class LoggedRun:
    """What a logger is told when a training begins.

    Attributes:
        output: Model artifact that is being made.
        key: Its key: an interrupted training goes on under the same one.
        config: Options that determine it.
    """

    output: Path
    key: str
    config: Mapping[str, Any]


class Logger(Protocol):
    """Where a training is logged.

    Attributes:
        logged: Epochs that are there already, from before an interruption.
    """

    logged: frozenset[int]

    def scalars(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log the finite measures of an epoch, which counts from 1."""
        ...

    def close(self, artifact: str | None) -> None:
        """Log the id of the finished artifact and let go; None where the training stopped."""
        ...


class TensorBoardLogger:
    """Event files in a folder beside the artifact, written anew after an interruption."""

    def __init__(self, run: LoggedRun) -> None:
        folder = run.output.with_name(run.output.name + SUFFIX)
        for old in folder.glob("events.out.tfevents.*"):
            files.remove(old)
        self.logged: frozenset[int] = frozenset()
        self._writer = import_module("torch.utils.tensorboard").SummaryWriter(folder)
        self._writer.add_text("configuration", _listed(run.config))

    def scalars(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the measures, so that they can be looked at while training goes on."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self, artifact: str | None) -> None:
        """Write the id as text."""
        if artifact is not None:
            self._writer.add_text("artifact", artifact)
        self._writer.close()


class MlflowLogger:
    """A run of MLflow, found again by its key; where it goes, say MLflow's own variables."""

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
        """Return the id of the run under the artifact's key; begin one if there is none."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        known = self._client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self._client.create_experiment(name)
        found = self._client.search_runs([experiment], f"tags.`ectool.key` = '{run.key}'")
        return str(found[0].info.run_id) if found else self._create(experiment, run)

    def _create(self, experiment: str, run: LoggedRun) -> str:
        """Begin a run with the options as its parameters."""
        tags = {"ectool.key": run.key}
        made = self._client.create_run(experiment, tags=tags, run_name=str(run.output))
        for name, value in run.config.items():
            self._client.log_param(made.info.run_id, name, value)
        return str(made.info.run_id)

    def scalars(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log the measures in one request, the loss last in it as the sign that all are there."""
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
    """A run of Weights & Biases under the artifact's key; where it goes, say its own variables."""

    def __init__(self, run: LoggedRun) -> None:
        wandb = import_module("wandb")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run.key,
            name=str(run.output),
            config=dict(run.config),
            resume="allow",
            settings=wandb.Settings(console="off"),  # stdout carries data alone
        )
        self.logged = frozenset(range(self._run.starting_step))

    def scalars(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log the measures as one step."""
        self._run.log(dict(values), step=epoch, commit=True)

    def close(self, artifact: str | None) -> None:
        """Put the id into the summary."""
        if artifact is not None:
            self._run.summary["artifact"] = artifact
        self._run.finish(exit_code=0 if artifact is not None else 1)


LOGGERS: Mapping[str, Callable[[LoggedRun], Logger]] = {
    "tensorboard": TensorBoardLogger,
    "mlflow": MlflowLogger,
    "wandb": WandbLogger,
}
"""By name, as `--log` takes it; calling one opens it. Each is an extra of the same name."""


class Log:
    """All loggers of a training.

    Args:
        first: Epochs of the schedule that an earlier artifact holds, which are not logged again.
    """

    def __init__(self, first: int = 0) -> None:
        self.artifact: str | None = None
        """Id of the artifact; to be set once it is published."""
        self._first = first
        self._logged: dict[Logger, set[int]] = {}

    def add(self, logger: Logger) -> None:
        """Log to a logger from now on."""
        self._logged[logger] = set(logger.logged) | set(range(self._first + 1))

    def record(self, history: Iterable[Mapping[str, float]]) -> None:
        """Log every epoch of a history that a logger has not seen yet.

        Called after a history has been saved, and with the one that an interrupted training left:
        so no epoch is missing, and none is there with other values than the artifact's.
        """
        for entry in history:
            epoch = int(entry["epoch"])
            values = {k: v for k, v in entry.items() if k != "epoch" and math.isfinite(v)}
            for logger, logged in self._logged.items():
                if epoch not in logged:
                    logger.scalars(epoch, values)
                    logged.add(epoch)

    def close(self, logger: Logger) -> None:
        """Tell a logger how the training ended."""
        logger.close(self.artifact)


@contextmanager
def logging(names: Iterable[str], run: LoggedRun, first: int = 0) -> Iterator[Log]:
    """Open loggers by name, and close them however the block ends.

    Args:
        names: Names of `LOGGERS`, none for no logging.
        run: What is trained.
        first: Epochs of the schedule that an earlier artifact holds, which are not logged again.
    """
    log = Log(first)
    with ExitStack() as opened:
        for name in dict.fromkeys(names):
            logger = LOGGERS[name](run)
            opened.callback(log.close, logger)
            log.add(logger)
        yield log


def check_installed(names: Iterable[str]) -> None:
    """Check that the packages of loggers are there, before anything is computed.

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
    """Return options as Markdown, which TensorBoard shows."""
    return "\n".join(f"    {name} = {json.dumps(value)}" for name, value in config.items())
