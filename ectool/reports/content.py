"""Content of a report: metrics, results of arms, rounds and samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8

from ectool.types import Estimate

PIXEL_ART = 64
"""Images up to this side are stored losslessly and enlarged without smoothing."""
MAX_SIDE = 128
"""Larger images are reduced to this side."""

LEVEL = 0.05
"""Family-wise error rate below which a difference is significant."""
Verdict = Literal["better", "worse"]
History = Sequence[Mapping[str, float]]
"""One entry per epoch: `epoch`, `loss`, `accuracy`, and `validation_*` if measured."""


@dataclass(frozen=True)
class Difference(Estimate):
    """An arm minus the reference, paired by seed.

    Attributes:
        verdict: `better` or `worse` if the corrected p-value is below `LEVEL`, else None.
        p_value: P-value of the two-sided paired t test, not corrected.
        p_holm: P-value after Holm's correction over all differences of its family.
    """

    verdict: Verdict | None = None
    p_value: float = math.nan
    p_holm: float = math.nan


def compare(
    difference: Estimate, *, higher_is_better: bool, p_value: float, p_holm: float
) -> Difference:
    """Return a difference with its verdict, which needs a corrected p-value below `LEVEL`."""
    verdict: Verdict | None = None
    if p_holm < LEVEL and difference.value != 0:
        verdict = "better" if (difference.value > 0) == higher_is_better else "worse"
    return Difference(**asdict(difference), verdict=verdict, p_value=p_value, p_holm=p_holm)


@dataclass(frozen=True)
class Metric:
    """Label, definition and direction of a metric; shares are shown in percent."""

    label: str
    definition: str
    higher_is_better: bool
    is_share: bool = True
    condition: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Result:
    """One metric of one arm.

    Attributes:
        values: Value by seed; NaN if undefined.
        interval: Mean over the seeds.
        difference: Difference to the reference; None for the reference.
    """

    values: Mapping[int, float]
    interval: Estimate
    difference: Difference | None


@dataclass(frozen=True)
class Distribution:
    """Distribution of values over the samples of one round.

    Attributes:
        mean: Mean of the defined values; NaN if all are undefined.
        quantiles: Quantiles 0.1, 0.5 and 0.9.
        counts: Number of samples per bin; `training_records` defines the bins.
    """

    mean: float
    quantiles: tuple[float, float, float]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Round:
    """Explanation consistency and weights of one round.

    Attributes:
        number: Number of the round, from 1.
        samples: Number of training samples.
        undefined: Samples whose explanation consistency is undefined.
        effective_sample_size: (sum of weights)^2 / sum of squared weights.
        findings: Findings of `score`, by name.
        consistency: Distribution of explanation consistency, in [0, 1].
        similarity: Distribution of heatmap similarity, the first factor of it.
        stability: Distribution of prediction stability, the second factor of it.
        weight: Distribution of the weights, whose mean is 1.
    """

    number: int
    samples: int
    undefined: int
    effective_sample_size: float
    findings: Mapping[str, float]
    consistency: Distribution
    similarity: Distribution
    stability: Distribution
    weight: Distribution


@dataclass(frozen=True)
class Arm:
    """One arm: its settings, its metrics by name, and its training and rounds by seed."""

    name: str
    settings: Mapping[str, Any]
    results: Mapping[str, Result]
    histories: Mapping[int, History]
    rounds: Mapping[int, Sequence[Round]]


@dataclass(frozen=True)
class Sample:
    """An image, its perturbed image, and both heatmaps of one model.

    Attributes:
        sample_id: Identifier of the sample.
        choice: Reason of the choice, for example `least consistent`.
        label: Name of the true class, which is explained.
        predicted: Names of the classes predicted for the image and for the perturbed image.
        correct: Whether both predictions are correct, one by one.
        consistency: Explanation consistency, in [0, 1].
        similarity: Heatmap similarity, its first factor; multi-label: the mean over its labels.
        stability: Prediction stability, its second factor; multi-label: the mean over its labels.
        weight: Training weight of the sample.
        image: The image.
        perturbed: The perturbed image.
        clean: Heatmap of the image: raw values at the resolution of the target layer.
        adversarial: Heatmap of the perturbed image.
    """

    sample_id: str
    choice: str
    label: str
    predicted: tuple[str, str]
    correct: tuple[bool, bool]
    consistency: float
    similarity: float
    stability: float
    weight: float
    image: UInt8[np.ndarray, "3 h w"] = field(repr=False)
    perturbed: UInt8[np.ndarray, "3 h w"] = field(repr=False)
    clean: Float[np.ndarray, "k l"] = field(repr=False)
    adversarial: Float[np.ndarray, "k l"] = field(repr=False)

    @property
    def scale(self) -> float:
        """Return the largest value of both heatmaps, the end of their common scale."""
        return float(max(self.clean.max(), self.adversarial.max()))

    @property
    def is_small(self) -> bool:
        """Whether the image is small enough to be enlarged without smoothing."""
        return bool(max(self.image.shape[1:]) <= PIXEL_ART)


@dataclass(frozen=True)
class RoundSamples:
    """Samples of one round, sorted by class.

    Attributes:
        arm: Arm of the run.
        seed: Seed of the run.
        round: Number of the round.
        choice_seed: Seed of the random choices.
        classes: Number of classes of the data set; the samples show at most `MAX_CLASSES` of them.
        samples: The samples.
    """

    arm: str
    seed: int
    round: int
    choice_seed: int
    classes: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class ExperimentResults:
    """An experiment of `ectool run`: its arms over all seeds."""

    title: str
    reference: str
    seeds: tuple[int, ...]
    epochs: int
    warmup_epochs: int
    every: int
    metrics: Mapping[str, Metric]
    arms: tuple[Arm, ...]
    round_samples: RoundSamples | None
