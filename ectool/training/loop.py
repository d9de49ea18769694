"""One epoch of training, and predictions for validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int8, Int64
from torch import Tensor, nn

from ectool.config.heatmaps import Precision
from ectool.models.objective import Labels
from ectool.models.precision import mixed
from ectool.training.batch import Position, TrainingBatch
from ectool.training.objectives import Objective
from ectool.training.ranks.part import WHOLE, Part
from ectool.training.ranks.ranks import ALONE, Ranks


@dataclass(frozen=True)
class EpochResult:
    """Means over an epoch, computed with the model of each step.

    Attributes:
        loss: Mean weighted loss over the samples.
        accuracy: Accuracy in [0, 1]; multi-label: share of labels, except ignored ones, whose logit
            has the correct sign (NaN if there are none).
        max_logit: Largest absolute logit.
    """

    loss: float
    accuracy: float
    max_logit: float = 0.0


def make_optimizer(
    model: nn.Module, name: str, *, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Make an optimizer by its name: `adamw`, or `sgd` with Nesterov momentum 0.9.

    Frozen parameters are left out, such as the text features of a zero-shot classifier.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)
    return torch.optim.SGD(
        parameters, lr=lr, weight_decay=weight_decay, momentum=0.9, nesterov=True
    )


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[TrainingBatch],
    rate: Callable[[int], float],
    objective: Objective,
    position: Callable[[int], Position],
    precision: Precision = "fp32",
    ranks: Ranks = ALONE,
) -> EpochResult:
    """Take one optimizer step per batch with the loss ``share * objective``.

    On several ranks the loss is the sum of this over the parts of the batch, which is that of the
    whole batch: the shares of the parts add up to that of the batch.

    Args:
        model: Maps pixels in [0, 1] to logits; remains in training mode.
        optimizer: Optimizer of the model's parameters.
        batches: Batches of the epoch in order.
        rate: Maps the step, from 0, to the learning rate.
        objective: Loss of a batch.
        position: Maps the step, from 0, to its position in the training.
        precision: Precision of the networks in the objective; the weights stay in float32.
        ranks: The processes that train the model; each gets its parts of the batches.

    Returns:
        Mean loss and accuracy; the accuracy is that of the images the objective learns from.

    Cost: that of the objective per batch; one synchronization with the device, at the end.
    """
    model.train()
    device = next(model.parameters()).device
    sums = []
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        place = position(step)
        with ranks.step(batch.part, place):
            with mixed(precision, device):
                loss, logits = objective(model, batch, place)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss if batch.share == 1 else loss * batch.share)
        ranks.add_gradients(_parameters(optimizer), batch.part)
        optimizer.step()
        objective.after(model, batch, place)
        size = torch.full((), float(len(batch.labels)), device=device)
        counts = (n.to(size.dtype) for n in _count_correct(logits.detach(), batch.labels))
        largest = logits.detach().abs().amax().to(size.dtype)
        row = torch.stack([loss.detach() * size, size, *counts, largest])
        sums.append(row if ranks.counts(batch.part) else torch.zeros_like(row))
    # Summed on the host, because not every accelerator has double precision.
    rows = ranks.gather(torch.stack(sums)).flatten(0, 1).tolist()
    *columns, logit = zip(*rows, strict=True)
    total, samples, correct, counted = map(math.fsum, columns)
    return EpochResult(total / samples, correct / counted if counted else math.nan, max(logit))


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def accuracy(
    model: nn.Module,
    batches: Iterable[tuple[Float[Tensor, "n 3 h w"], Int64[Tensor, "n"]]],
    part: Part = WHOLE,
) -> float:
    """Return the accuracy in evaluation mode.

    The model remains in evaluation mode.

    Args:
        model: Maps pixels in [0, 1] to logits.
        batches: Pixels and labels, at least one batch.
        part: Which part of the images of all ranks these are; the accuracy is that of all images.

    Cost: 1 forward pass per batch.
    """
    correct = total = 0
    for logits, labels in _predictions(model, batches):
        correct += int((logits.argmax(dim=1) == labels).sum())
        total += len(labels)
    device = next(model.parameters()).device
    counts = part.total(torch.tensor([correct, total], device=device)).tolist()
    return float(counts[0] / counts[1])


def predict(
    model: nn.Module, batches: Iterable[tuple[Float[Tensor, "n 3 h w"], Labels]]
) -> tuple[Float32[np.ndarray, "m c"], Int64[np.ndarray, "m"] | Int8[np.ndarray, "m c"]]:
    """Return logits and labels of all samples, in evaluation mode.

    For metrics that are not a mean over samples, such as mean average precision.

    Args:
        model: Maps pixels in [0, 1] to logits; remains in evaluation mode.
        batches: Pixels and labels, at least one batch.

    Returns:
        Logits and unchanged labels, in the order of the batches.

    Cost: 1 forward pass per batch.
    """
    pairs = [
        (logits.float().cpu().numpy(), labels.cpu().numpy())
        for logits, labels in _predictions(model, batches)
    ]
    logits, labels = zip(*pairs, strict=True)
    return np.concatenate(logits), np.concatenate(labels)


def _predictions(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the logits and labels of each batch."""
    model.eval()
    for pixels, labels in batches:
        with torch.no_grad():
            logits = model(pixels)
        yield logits, labels


def _count_correct(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number of correct and of counted labels, without synchronization."""
    if labels.ndim == 1:
        correct = logits.argmax(dim=1) == labels
        return correct.sum(), torch.ones_like(correct).sum()
    counts = labels >= 0
    return ((logits > 0) == (labels > 0)).logical_and(counts).sum(), counts.sum()
