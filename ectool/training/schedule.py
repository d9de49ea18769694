"""Learning rate, batches and order of the samples, as functions of the epoch and the step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from ectool.seeding import stream


@dataclass(frozen=True)
class Schedule:
    """A one-cycle learning rate (Smith and Topin 2018, arXiv 1708.07120) without momentum cycling.

    Attributes:
        epochs: Number of epochs of the whole schedule.
        steps: Number of steps per epoch.
        peak: Maximum learning rate.
        warmup: Share of all steps in which the rate increases from `START * peak` to the peak.
        restart: Epoch in which the schedule starts again, for a second training in the remaining
            epochs; 0 for none.
        tail: Constant learning rate of the last epoch, after the cycle, as a share of the peak; 0
            for a cycle over all epochs.
    """

    epochs: int
    steps: int
    peak: float
    warmup: float
    restart: int = 0
    tail: float = 0.0

    def rate(self, epoch: int, step: int) -> float:
        """Return the learning rate of a step: cosine up to the peak, then cosine down to 0.

        Args:
            epoch: From 0.
            step: From 0, within the epoch.
        """
        if self.tail and epoch == self.epochs - 1:
            return self.peak * self.tail
        begin, end = self._cycle(epoch)
        total = (end - begin) * self.steps
        done, rising = (epoch - begin) * self.steps + step, self.warmup * total
        if done < rising:
            share = (1 - math.cos(math.pi * done / rising)) / 2
            return self.peak * (START + (1 - START) * share)
        return self.peak * (1 + math.cos(math.pi * (done - rising) / (total - rising))) / 2

    def _cycle(self, epoch: int) -> tuple[int, int]:
        """Return the first epoch of the cycle of an epoch, and the first after it."""
        if epoch < self.restart:
            return 0, self.restart
        return self.restart, self.epochs - (1 if self.tail else 0)


START = 1 / 25
"""Learning rate of the first step, as a share of the peak."""


def batch_count(samples: int, batch_size: int) -> int:
    """Return the number of batches per epoch, see :func:`split_evenly`.

    ``ceil(samples / batch_size)``, so no batch is larger than `batch_size`. Exception: with
    batches of two and an odd number of samples, one batch has three samples, because batch
    normalisation cannot compute statistics of a single sample.

    Args:
        samples: Number of samples, at least 1.
        batch_size: Batch size, at least 1.
    """
    count = -(-samples // batch_size)
    return count if batch_size == 1 else max(1, min(count, samples // 2))


def split_evenly(order: Int64[np.ndarray, "n"], batch_size: int) -> list[Int64[np.ndarray, "m"]]:
    """Split an epoch into batches whose sizes differ by at most one, the larger ones first.

    A short last batch would make a whole step for few samples, which would get up to `batch_size`
    times the weight of the others.

    Args:
        order: Indices of the samples in the order of the epoch, at least one.
        batch_size: Batch size, at least 1.
    """
    return np.array_split(order, batch_count(len(order), batch_size))


def epoch_order(samples: int, seed: int, epoch: int) -> Int64[np.ndarray, "n"]:
    """Return the order of the samples in an epoch; it depends only on the arguments.

    Args:
        samples: Number of samples.
        seed: Seed of the run.
        epoch: From 0.
    """
    return stream(seed, epoch, "order").permutation(samples)


def shown_perturbed(samples: int, seed: int, epoch: int, share: float) -> Bool[np.ndarray, "n"]:
    """Return which samples are replaced by perturbed ones in an epoch, with probability `share`.

    Args:
        samples: Number of samples.
        seed: Seed of the run.
        epoch: From 0.
        share: Probability, in [0, 1].
    """
    chosen: Bool[np.ndarray, "n"] = stream(seed, epoch, "mix").random(samples) < share
    return chosen
