"""Checks of a training while it runs."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from ectool.errors import InputError, UsageError
from ectool.models.classifier import Classifier
from ectool.stages.common.huge_logits import LIMIT
from ectool.stages.common.inputs import split_name
from ectool.stages.train.feed import Feed
from ectool.training.loop import EpochResult
from ectool.types import Reporter

LOSS_FACTOR = 10
"""A loss above this multiple of that of equal probabilities has exploded."""


def check_batches(model: Classifier, feed: Feed) -> None:
    """Check that batch normalisation has more than one sample per batch.

    Raises:
        UsageError: Batches are too small.
        InputError: There is one image only.
    """
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


def check_ranks(model: Classifier, feed: Feed) -> None:
    """Check that several ranks can share the batch normalisation of the model.

    Raises:
        UsageError: A layer has no running statistics, so that ranks would differ in evaluation.
    """
    if feed.ranks.sums is None:
        return
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and module.running_mean is None:
            raise UsageError(
                f"--model {model.architecture} in {feed.ranks.size} processes",
                expected="batch normalisation with running statistics",
                got=f"layer {name} without",
                fix="train in one process, or choose another network",
            )


def check_finite(result: EpochResult, model: Classifier, epoch: int) -> None:
    """Check that the loss of an epoch and the weights after it are finite.

    Raises:
        InputError: They are not.
    """
    whole = all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())
    if not (whole and np.isfinite(result.loss)):
        raise InputError(
            f"loss of epoch {epoch + 1}",
            expected="a finite number, and finite weights after it",
            got=f"{result.loss}" + ("" if whole else " and infinite weights or NaN"),
            fix="lower --lr, or check the data and the weights",
        )


class Explosion:
    """Warn once if the loss or the logits of a training explode.

    Args:
        classes: Number of classes.
        is_multilabel: Whether the loss is that of each label.
        reporter: Receives the warning.
    """

    def __init__(self, classes: int, is_multilabel: bool, reporter: Reporter) -> None:
        self.limit = LOSS_FACTOR * math.log(2 if is_multilabel else max(classes, 2))
        self.reporter = reporter
        self.has_warned = False

    def check(self, result: EpochResult, epoch: int) -> None:
        """Check the result of an epoch, from 0."""
        parts = []
        if result.loss > self.limit:
            parts.append(f"the loss is {result.loss:.3g}, above {self.limit:.3g}")
        if result.max_logit > LIMIT:
            parts.append(f"logits reach {result.max_logit:.3g}, beyond {LIMIT:g}")
        if parts and not self.has_warned:
            self.has_warned = True
            self.reporter.warn(
                f"epoch {epoch + 1}: {' and '.join(parts)}, so training may have "
                "diverged; lower --lr, or check --mean and --std"
            )
