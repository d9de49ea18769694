"""One epoch of training, and the accuracy after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ectool.training.losses import weighted_cross_entropy


@dataclass(frozen=True)
class TrainingBatch:
    """Samples of one step.

    Attributes:
        pixels: RGB in [0, 1].
        labels: True classes.
        weights: Sample weights.
    """

    pixels: Float[Tensor, "n 3 h w"]
    labels: Int64[Tensor, "n"]
    weights: Float[Tensor, "n"]


@dataclass(frozen=True)
class EpochResult:
    """Means over the samples of an epoch, of the model as it was at each step.

    Attributes:
        loss: Weighted cross-entropy.
        accuracy: Share classified correctly, in [0, 1].
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
    """Take one step per batch.

    Args:
        model: Maps pixels in [0, 1] to logits; left in training mode.
        optimizer: Over the model's parameters.
        batches: The epoch's batches in order.
        rate: Learning rate of each step, from 0.

    Returns:
        Mean loss and accuracy over the samples.

    Cost: 1 forward and 1 backward per batch; the host waits for the device once, at the end.
    """
    model.train()
    device = next(model.parameters()).device
    sums = []
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        logits = model(batch.pixels)
        loss = weighted_cross_entropy(logits, batch.labels, batch.weights)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        correct = (logits.detach().argmax(dim=1) == batch.labels).sum()
        size = torch.tensor(float(len(batch.labels)), device=device)
        sums.append(torch.stack([loss.detach() * size, correct.to(loss.dtype), size]))
    # Added up here, not on the device: not every accelerator has double precision.
    loss_sum, correct_sum, count = map(math.fsum, zip(*torch.stack(sums).tolist(), strict=True))
    return EpochResult(loss_sum / count, correct_sum / count)


def accuracy(
    model: nn.Module, batches: Iterable[tuple[Float[Tensor, "n 3 h w"], Int64[Tensor, "n"]]]
) -> float:
    """Return the share of samples classified correctly, in evaluation mode.

    The model is left in evaluation mode. Cost: 1 forward per batch.
    """
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for pixels, labels in batches:
            correct += int((model(pixels).argmax(dim=1) == labels).sum())
            total += len(labels)
    return correct / total
