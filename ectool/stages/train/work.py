"""Training loop of `train`: epochs with a complete checkpoint after each."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import nn

from ectool.artifacts import files
from ectool.artifacts.folder import PartialFolder, open_folder, verify_file
from ectool.artifacts.jobs import states
from ectool.artifacts.jobs.sealed import write_checked
from ectool.config import TrainConfig
from ectool.config.objectives import LAST_EPOCH, RESTARTING, START
from ectool.datasets.base import Dataset
from ectool.models.checkpoints.checkpoint import load_weights
from ectool.models.classifier import Classifier
from ectool.models.registry import create
from ectool.options import rounded_up
from ectool.scores.weights import effective_sample_size
from ectool.stages.common.layout import (
    HISTORY_FILE,
    OBJECTIVE_FILE,
    SPEC_FILE,
    TRAINER_FILE,
    WEIGHTS_FILE,
    history_of,
)
from ectool.stages.common.loop.space import check_space, model_need
from ectool.stages.common.model_folder import load_folder, name_classes, save_folder
from ectool.stages.common.zero_shot import prompts_of, zero_shot_model
from ectool.stages.train.checks import Explosion, check_batches, check_finite, check_ranks
from ectool.stages.train.feed import Feed
from ectool.stages.train.loggers import Log
from ectool.stages.train.objective import make_objectives, seeded
from ectool.stages.train.validation import point_of
from ectool.stages.train.watch import Watch, counted, described
from ectool.training.batch import Position, step_generator
from ectool.training.checkpoint import load_optimizer, save_optimizer
from ectool.training.loop import EpochResult, make_optimizer, train_epoch
from ectool.training.objectives import Objective
from ectool.training.schedule import Schedule
from ectool.types import Advance, Reporter
from ectool.writing import TEMPORARY

_CHECKPOINT = "epoch-"

History = list[dict[str, float]]


@dataclass
class Trainer:
    """State of a training.

    Attributes:
        model: The model.
        objective: Its objective.
        plain: The objective of the epochs before that.
        optimizer: Optimizer of the model, and of the networks of the objective.
        history: Points of the learning curves.
    """

    model: Classifier
    objective: Objective
    plain: Objective
    optimizer: torch.optim.Optimizer
    history: History

    def save(self, target: Path, versions: Mapping[str, str] | None = None) -> dict[str, str]:
        """Write the training, so that `target` exists only when it is complete.

        Args:
            target: Its folder.
            versions: Versions of libraries behind a checkpoint; None for the finished training.

        Returns:
            The checksum of each file, by name.
        """
        temporary = target.with_name(target.name + TEMPORARY)
        files.remove(temporary)
        temporary.mkdir(parents=True)
        checksums = self._write(temporary)
        if versions is not None:
            states.finish(temporary, checksums, versions)
        files.remove(target)
        files.publish(temporary, target)
        return checksums

    def _write(self, folder: Path) -> dict[str, str]:
        """Write the files of a training."""
        history = json.dumps(self.history, indent=1) + "\n"
        checksums = {
            **save_folder(self.model, folder),
            TRAINER_FILE: save_optimizer(self.optimizer, folder / TRAINER_FILE),
            HISTORY_FILE: write_checked(folder / HISTORY_FILE, history.encode()),
        }
        state = {name: value.contiguous() for name, value in self.objective.state_dict().items()}
        if state:
            checksums[OBJECTIVE_FILE] = write_checked(folder / OBJECTIVE_FILE, save(state))
        return checksums


def train(
    config: TrainConfig,
    feed: Feed,
    validation: Mapping[str, Dataset],
    partial: PartialFolder,
    reporter: Reporter,
    log: Log,
) -> dict[str, str]:
    """Train the missing epochs and write the model into the store of the partial folder.

    Returns:
        The checksum of each of its files, by name; empty but in the first process.
    """
    is_first = feed.ranks.is_first
    trainer = _start(config, feed, partial, reporter)
    check_batches(trainer.model, feed)
    check_ranks(trainer.model, feed)
    explosion = Explosion(len(trainer.model.class_names), feed.labels.ndim > 1, reporter)
    schedule = schedule_of(config, feed.steps)
    start, until = len(trainer.history), config.until_epoch or config.epochs
    if is_first:
        is_old = any(partial.scratch.glob(f"{_CHECKPOINT}*"))  # it needs no more space
        count = 2 if until - start > 1 and not is_old else 1
        check_space(config.output, config, model_need(trainer.optimizer, count), reporter)
    with reporter.task("train", (until - start) * feed.samples) as advance:
        for epoch in range(start, until):
            log.record(_measures(trainer.history, schedule, feed))  # the saved epochs
            watch = Watch(feed)
            with seeded(config.seed, epoch, feed.device):
                result = _train_epoch(trainer, config, feed, schedule, epoch, advance)
            speed = watch.speed()
            check_finite(result, trainer.model, epoch)
            explosion.check(result, epoch)
            point = point_of(epoch, result, trainer.model, validation, feed)
            reporter.note(f"{config.output}: {described(point, config.epochs, speed)}")
            trainer.history.append(point | _statistics(trainer, config, epoch))
            if epoch + 1 < until and is_first:
                trainer.save(_checkpoint(partial, epoch + 1), partial.versions)
                states.supersede(_checkpoint(partial, epoch), _checkpoint(partial, epoch + 1))
                partial.save(_checkpoint(partial, epoch + 1))
    checksums = trainer.save(partial.store) if is_first else {}
    log.record(_measures(trainer.history, schedule, feed))
    return checksums


def _train_epoch(
    trainer: Trainer,
    config: TrainConfig,
    feed: Feed,
    schedule: Schedule,
    epoch: int,
    advance: Advance,
) -> EpochResult:
    """Train one epoch, plainly before the objective begins."""
    begins = begin_of(config)
    objective = trainer.objective if epoch >= begins else trainer.plain

    def position(step: int) -> Position:
        done, total = (epoch - begins) * feed.steps + step, (config.epochs - begins) * feed.steps
        generator = step_generator(config.seed, epoch, step)
        return Position(epoch, step, max(0.0, done / total), generator)

    objective.begin(trainer.model, trainer.optimizer, feed.in_order, position(0))
    return train_epoch(
        trainer.model,
        trainer.optimizer,
        counted(feed.epoch(epoch), advance),
        functools.partial(schedule.rate, epoch),
        objective,
        position,
        config.precision,
        feed.ranks,
    )


def schedule_of(config: TrainConfig, steps: int) -> Schedule:
    """Return the learning rates, which depend on the objective."""
    restart = begin_of(config) if config.objective in RESTARTING else 0
    tail = config.settings()["strength"] if config.objective in LAST_EPOCH else 0.0
    return Schedule(config.epochs, steps, config.lr, config.lr_warmup, restart=restart, tail=tail)


def _statistics(trainer: Trainer, config: TrainConfig, epoch: int) -> dict[str, float]:
    """Return the numbers of the objective in an epoch, none before it begins."""
    return trainer.objective.statistics() if epoch >= begin_of(config) else {}


def begin_of(config: TrainConfig) -> int:
    """Return the first epoch of the objective, from 0: the last one at the latest."""
    if config.objective in LAST_EPOCH:
        return config.epochs - 1
    begin = rounded_up(float(config.settings().get(START, 0.0)), config.epochs)
    return min(begin, config.epochs - 1)


def _measures(history: History, schedule: Schedule, feed: Feed) -> History:
    """Return the logged measures of each epoch: history, learning rate, effective sample size."""
    effective = effective_sample_size(feed.weights.numpy())
    return [
        {
            "learning_rate": schedule.rate(int(entry["epoch"]) - 1, feed.steps - 1),
            "effective_sample_size": effective,
            **entry,
        }
        for entry in history
    ]


def _checkpoint(partial: PartialFolder, epoch: int) -> Path:
    return partial.scratch / f"{_CHECKPOINT}{epoch:05d}"


def _start(config: TrainConfig, feed: Feed, partial: PartialFolder, reporter: Reporter) -> Trainer:
    """Start from the last checkpoint of an interrupted run, the resumed model, or a new model."""
    source = _source(config, feed, partial)
    if source is None:
        created = _create(config, feed.dataset, reporter).to(feed.device)
        return _trainer(config, feed, feed.ranks.agreed(created))
    if source == config.resume:
        manifest = open_folder(source, "model")
        needed = {SPEC_FILE, WEIGHTS_FILE, TRAINER_FILE, HISTORY_FILE}
        for name in sorted(needed | manifest.files.keys()):
            verify_file(source / name, manifest)
    trainer = _trainer(config, feed, _loaded(source, config).to(feed.device))
    load_optimizer(trainer.optimizer, source / TRAINER_FILE)
    trainer.history = history_of(source / HISTORY_FILE)
    # A resumed model of another objective, such as the plain warm-up, has no state for this one.
    if trainer.objective.state_dict() and (source / OBJECTIVE_FILE).exists():
        trainer.objective.load_state_dict(load_file(source / OBJECTIVE_FILE), strict=False)
    return trainer


def _loaded(source: Path, config: TrainConfig) -> Classifier:
    """Load a model to continue; code that the command names is trusted."""
    return load_folder(source, trust_code=config.trust_code, named=config.model)


def _source(config: TrainConfig, feed: Feed, partial: PartialFolder) -> Path | None:
    """Return the folder to start from, on every rank the one that the first has found."""
    names = [
        path.name.removeprefix(_CHECKPOINT) for path in partial.scratch.glob(f"{_CHECKPOINT}*")
    ]
    epoch = max((int(name) for name in names if name.isdecimal()), default=0)
    epoch = feed.ranks.first(epoch)
    return _checkpoint(partial, epoch) if epoch else config.resume


def _trainer(config: TrainConfig, feed: Feed, model: Classifier) -> Trainer:
    """Return the state of a training at its start."""
    objective, plain = make_objectives(config, feed, model)
    optimizer = make_optimizer(
        nn.ModuleList([model, objective]),
        config.optimizer,
        lr=config.lr,
        weight_decay=config.weight_decay,
    )
    return Trainer(model, objective, plain, optimizer, [])


def _create(config: TrainConfig, dataset: Dataset, reporter: Reporter) -> Classifier:
    """Create the model, with the weights of the checkpoint if one is given."""
    prompts = prompts_of(config.model, config)
    if prompts is not None:
        return zero_shot_model(
            config.model,
            prompts,
            dataset.classes,
            config.checkpoint,
            options=config,
            size=dataset.size,
            layer=config.layer,
            seed=config.seed,
            reporter=reporter,
        )
    model = create(
        config.model,
        dataset.classes,
        seed=config.seed,
        input_size=dataset.size,
        layer=config.layer,
        mean=config.mean,
        std=config.std,
    )
    name_classes(model, dataset.classes)
    if config.checkpoint is not None:
        loaded = load_weights(
            model, config.checkpoint, entry=config.entry, reset_head=config.reset_head
        )
        for remark in loaded.remarks():
            reporter.note(f"{config.checkpoint}: {remark}")
    return model
