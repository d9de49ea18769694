"""Learning rate and order of the samples, as functions of how far the schedule is."""

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
        epochs: Length of the whole schedule.
        steps: Steps per epoch.
        peak: Largest learning rate.
        warmup: Share of all steps in which the rate rises from `START` of the peak.
    """

    epochs: int
    steps: int
    peak: float
    warmup: float

    def rate(self, epoch: int, step: int) -> float:
        """Return the learning rate of a step; cosine up to the peak, cosine down to 0.

        Args:
            epoch: From 0.
            step: From 0, within the epoch.
        """
        total = self.epochs * self.steps
        done, rising = epoch * self.steps + step, self.warmup * total
        if done < rising:
            share = (1 - math.cos(math.pi * done / rising)) / 2
            return self.peak * (START + (1 - START) * share)
        return self.peak * (1 + math.cos(math.pi * (done - rising) / (total - rising))) / 2


START = 1 / 25
"""Learning rate of the first step, as a share of the peak."""


def epoch_order(samples: int, seed: int, epoch: int) -> Int64[np.ndarray, "n"]:
    """Return the order in which an epoch visits the samples; depends on nothing else.

    Args:
        samples: Number of samples.
        seed: Seed of the run.
        epoch: From 0.
    """
    return stream(seed, epoch, "order").permutation(samples)


def shown_perturbed(samples: int, seed: int, epoch: int, share: float) -> Bool[np.ndarray, "n"]:
    """Return which samples an epoch shows perturbed, each with probability `share`.

    Args:
        samples: Number of samples.
        seed: Seed of the run.
        epoch: From 0.
        share: In [0, 1].
    """
    chosen: Bool[np.ndarray, "n"] = stream(seed, epoch, "mix").random(samples) < share
    return chosen
