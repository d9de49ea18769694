"""Training loop of `train`: epochs with a complete checkpoint after each."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ectool.artifacts import files
from ectool.artifacts.folder import PartialFolder, open_folder, verify_file
from ectool.config import TrainConfig
from ectool.consistency.weights import effective_sample_size
from ectool.datasets.base import Dataset, is_multilabel
from ectool.datasets.class_order import order_of
from ectool.errors import InputError, UsageError
from ectool.metrics.multilabel import mean_average_precision
from ectool.models.checkpoints.checkpoint import load_weights, save_weights
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.registry import create
from ectool.seeding import stream
from ectool.stages.common.inputs import split_name
from ectool.stages.common.layout import HISTORY_FILE, SPEC_FILE, TRAINER_FILE, WEIGHTS_FILE
from ectool.stages.common.loaded import load_folder
from ectool.stages.train.feed import Feed
from ectool.stages.train.loggers import Log
from ectool.training.checkpoint import load_optimizer, save_optimizer
from ectool.training.loop import EpochResult, accuracy, make_optimizer, predict, train_epoch
from ectool.training.schedule import Schedule
from ectool.types import Reporter, Unnamed

EVALUATION_BATCH = 256

History = list[dict[str, float]]


@dataclass
class Trainer:
    """State of a training."""

    model: Classifier
    optimizer: torch.optim.Optimizer
    history: History

    def save(self, target: Path) -> None:
        """Write a checkpoint, so that `target` exists only when it is complete."""
        temporary = target.with_name(target.name + ".tmp")
        files.remove(temporary)
        temporary.mkdir(parents=True)
        save_weights(self.model, temporary / WEIGHTS_FILE)
        save_optimizer(self.optimizer, temporary / TRAINER_FILE)
        for name, value in ((SPEC_FILE, self.model.spec.to_json()), (HISTORY_FILE, self.history)):
            (temporary / name).write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
        files.remove(target)
        files.publish(temporary, target)


def train(
    config: TrainConfig,
    feed: Feed,
    validation: Mapping[str, Dataset],
    partial: PartialFolder,
    reporter: Reporter,
    log: Log,
) -> None:
    """Train the missing epochs and write the model into the store of the partial folder."""
    trainer = _start(config, feed.dataset, partial, feed.device)
    _check_batches(trainer.model, feed)
    schedule = Schedule(config.epochs, feed.steps, config.lr, config.lr_warmup)
    start, until = len(trainer.history), config.until_epoch or config.epochs
    with reporter.task("train", (until - start) * feed.samples) as advance:
        for epoch in range(start, until):
            log.record(_measures(trainer.history, schedule, feed))  # the saved epochs
            with _timed(feed, epoch, reporter), _seeded(config.seed, epoch):
                result = train_epoch(
                    trainer.model,
                    trainer.optimizer,
                    feed.epoch(epoch),
                    functools.partial(schedule.rate, epoch),
                )
            _check_finite(result, trainer.model, epoch)
            trainer.history.append(_record(epoch, result, trainer.model, validation, feed.device))
            if epoch + 1 < until:
                trainer.save(_checkpoint(partial, epoch + 1))
                files.remove(_checkpoint(partial, epoch))
            advance(feed.samples)
    trainer.save(partial.store)
    log.record(_measures(trainer.history, schedule, feed))


def _measures(history: History, schedule: Schedule, feed: Feed) -> History:
    """Return the logged measures of each epoch: history, learning rate, effective sample size."""
    effective = effective_sample_size(feed.weights.numpy())
    return [
        {
            **entry,
            "learning_rate": schedule.rate(int(entry["epoch"]) - 1, feed.steps - 1),
            "effective_sample_size": effective,
        }
        for entry in history
    ]


@contextmanager
def _timed(feed: Feed, epoch: int, reporter: Reporter) -> Iterator[None]:
    """Report the speed of an epoch, and the share of it that the model waited for data."""
    start, waited = time.perf_counter(), feed.waited
    yield
    seconds = time.perf_counter() - start
    rate, share = feed.samples / seconds, (feed.waited - waited) / seconds
    reporter.note(f"epoch {epoch + 1}: {rate:.0f} images/s, waiting for data {share:.1%}")


@contextmanager
def _seeded(seed: int, epoch: int) -> Iterator[None]:
    """Draw dropout from (seed, epoch), the same after resuming; restore the random state."""
    with torch.random.fork_rng():
        torch.manual_seed(int(stream(seed, epoch, "dropout").integers(2**63)))
        yield


def _checkpoint(partial: PartialFolder, epoch: int) -> Path:
    return partial.scratch / f"epoch-{epoch:05d}"


def _start(
    config: TrainConfig, dataset: Dataset, partial: PartialFolder, device: torch.device
) -> Trainer:
    """Start from the last checkpoint of an interrupted run, the resumed model, or a new model."""
    checkpoints = sorted(p for p in partial.scratch.glob("epoch-*") if p.suffix != ".tmp")
    source = checkpoints[-1] if checkpoints else config.resume
    if source is None:
        model = _create(config, dataset).to(device)
        return Trainer(model, _optimizer(config, model), [])
    if source == config.resume:
        manifest = open_folder(source, "model")
        for name in (SPEC_FILE, WEIGHTS_FILE, TRAINER_FILE, HISTORY_FILE):
            verify_file(source / name, manifest)
    model = load_folder(source).to(device)
    optimizer = _optimizer(config, model)
    load_optimizer(optimizer, source / TRAINER_FILE)
    return Trainer(model, optimizer, json.loads((source / HISTORY_FILE).read_text()))


def _create(config: TrainConfig, dataset: Dataset) -> Classifier:
    """Create the model, with the weights of the checkpoint if one is given."""
    model = create(
        config.model,
        dataset.classes,
        seed=config.seed,
        input_size=dataset.size,
        layer=config.layer,
        mean=config.mean,
        std=config.std,
    )
    model.spec = replace(
        model.spec,
        has_names=not isinstance(dataset.classes, Unnamed),
        class_order=order_of(dataset.classes),
    )
    if config.checkpoint is not None:
        load_weights(model, config.checkpoint, entry=config.entry, reset_head=config.reset_head)
    return model


def _optimizer(config: TrainConfig, model: Classifier) -> torch.optim.Optimizer:
    return make_optimizer(model, config.optimizer, lr=config.lr, weight_decay=config.weight_decay)


def _check_batches(model: Classifier, feed: Feed) -> None:
    """Check that batch normalisation has more than one sample per batch."""
    normalises = any(isinstance(module, _BatchNorm) for module in model.modules())
    if not normalises or feed.samples // feed.steps > 1:
        return
    if feed.samples > 1:
        raise UsageError(
            "--batch-size",
            expected=f"at least 2, for {model.architecture} has batch normalisation",
            got=str(feed.config.batch_size),
            fix="give a larger one, or a network without batch normalisation",
        )
    raise InputError(
        split_name(feed.config.data, feed.config.split),
        expected=f"at least 2 images, for {model.architecture} has batch normalisation",
        got="1",
        fix="give more, or a network without batch normalisation",
    )


def _check_finite(result: EpochResult, model: Classifier, epoch: int) -> None:
    """Check that the loss of an epoch and the weights after it are finite."""
    whole = all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())
    if not (whole and np.isfinite(result.loss)):
        raise InputError(
            f"loss of epoch {epoch + 1}",
            expected="a finite number, and finite weights after it",
            got=f"{result.loss}" + ("" if whole else " and infinite weights or NaN"),
            fix="lower --lr, or check the data and the weights",
        )


def _record(
    epoch: int,
    result: EpochResult,
    model: Classifier,
    validation: Mapping[str, Dataset],
    device: torch.device,
) -> dict[str, float]:
    """Return the point of an epoch on the learning curves."""
    record = {"epoch": epoch + 1, "loss": result.loss, "accuracy": result.accuracy}
    for variant, dataset in validation.items():
        batches = _batches(dataset, device)
        if is_multilabel(dataset.labels):
            score = mean_average_precision(*predict(model, batches))
            record[f"validation_map_{variant}"] = score
        else:
            record[f"validation_{variant}"] = accuracy(model, batches)
    return record


def _batches(dataset: Dataset, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    for first in range(0, len(dataset.sample_ids), EVALUATION_BATCH):
        rows = np.arange(first, min(first + EVALUATION_BATCH, len(dataset.sample_ids)))
        labels = torch.from_numpy(np.asarray(dataset.labels)[rows]).to(device)
        yield to_pixels(dataset.images(rows), device), labels
