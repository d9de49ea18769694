"""One epoch of training, and what the model answers after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int8, Int64
from torch import Tensor, nn

from ectool.models.objective import Labels
from ectool.training.losses import weighted_loss


@dataclass(frozen=True)
class TrainingBatch:
    """Samples of one step.

    Attributes:
        pixels: RGB in [0, 1].
        labels: True classes (n,), or present (1), absent (0) and uncounted (-1) classes (n, c).
        weights: Sample weights.
        share: Size of the batch over the mean size of the epoch's batches. The loss of the step is
            multiplied with it, so that every sample of the epoch weighs the same.
    """

    pixels: Float[Tensor, "n 3 h w"]
    labels: Labels
    weights: Float[Tensor, "n"]
    share: float = 1.0


@dataclass(frozen=True)
class EpochResult:
    """Means over an epoch, of the model as it was at each step.

    Attributes:
        loss: Weighted loss, over the samples.
        accuracy: Share of right answers, in [0, 1]: of samples classified correctly; with several
            labels a sample, of counting labels whose logit has the right sign (NaN without any).
    """

    loss: float
    accuracy: float


def make_optimizer(
    model: nn.Module, name: str, *, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Make an optimizer by its name: `adamw`, or `sgd` with Nesterov momentum 0.9."""
    if name == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    return torch.optim.SGD(
        model.parameters(), lr=lr, weight_decay=weight_decay, momentum=0.9, nesterov=True
    )


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[TrainingBatch],
    rate: Callable[[int], float],
) -> EpochResult:
    """Take one step per batch, down the gradient of ``share * mean_i weights_i * losses_i``.

    Args:
        model: Maps pixels in [0, 1] to logits; left in training mode.
        optimizer: Over the model's parameters.
        batches: The epoch's batches in order.
        rate: Learning rate of each step, from 0.

    Returns:
        Mean loss and accuracy.

    Cost: 1 forward and 1 backward per batch; the host waits for the device once, at the end.
    """
    model.train()
    device = next(model.parameters()).device
    sums = []
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        logits = model(batch.pixels)
        loss = weighted_loss(logits, batch.labels, batch.weights)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss if batch.share == 1 else loss * batch.share)
        optimizer.step()
        size = torch.tensor(float(len(batch.labels)), device=device)
        counts = (count.to(size.dtype) for count in _right_answers(logits, batch.labels))
        sums.append(torch.stack([loss.detach() * size, size, *counts]))
    # Added up here, not on the device: not every accelerator has double precision.
    total, samples, right, asked = map(math.fsum, zip(*torch.stack(sums).tolist(), strict=True))
    return EpochResult(total / samples, right / asked if asked else math.nan)


def accuracy(
    model: nn.Module, batches: Iterable[tuple[Float[Tensor, "n 3 h w"], Int64[Tensor, "n"]]]
) -> float:
    """Return the share of samples classified correctly, in evaluation mode.

    The model is left in evaluation mode. Cost: 1 forward per batch.
    """
    correct = total = 0
    for logits, labels in _answers(model, batches):
        correct += int((logits.argmax(dim=1) == labels).sum())
        total += len(labels)
    return correct / total


def predict(
    model: nn.Module, batches: Iterable[tuple[Float[Tensor, "n 3 h w"], Labels]]
) -> tuple[Float32[np.ndarray, "m c"], Int64[np.ndarray, "m"] | Int8[np.ndarray, "m c"]]:
    """Return logits and labels of all samples, in evaluation mode.

    For scores that are no mean over samples, such as mean average precision.

    Args:
        model: Maps pixels in [0, 1] to logits; left in evaluation mode.
        batches: Pixels and labels, at least one batch.

    Returns:
        Logits, and labels as they came, in the order of the batches.

    Cost: 1 forward per batch.
    """
    pairs = [
        (logits.float().cpu().numpy(), labels.cpu().numpy())
        for logits, labels in _answers(model, batches)
    ]
    logits, labels = zip(*pairs, strict=True)
    return np.concatenate(logits), np.concatenate(labels)


def _answers(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the logits of each batch beside its labels."""
    model.eval()
    for pixels, labels in batches:
        with torch.no_grad():
            logits = model(pixels)
        yield logits, labels


def _right_answers(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many answers are right and how many were asked for, without waiting for them."""
    if labels.ndim == 1:
        right = logits.argmax(dim=1) == labels
        return right.sum(), torch.ones_like(right).sum()
    counts = labels >= 0
    return ((logits > 0) == (labels > 0)).logical_and(counts).sum(), counts.sum()
