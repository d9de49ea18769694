"""What a report says of an experiment, before it is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8

PIXEL_ART = 64
"""Images up to this side are stored losslessly and enlarged without smoothing."""
MAX_SIDE = 128
"""Larger images are reduced to this side."""

LEVEL = 0.05
"""Family-wise error below which a difference counts as more than chance."""
Verdict = Literal["better", "worse"]
History = Sequence[Mapping[str, float]]
"""One entry per epoch: `epoch`, `loss`, `accuracy`, and `validation_*` where measured."""


@dataclass(frozen=True)
class Interval:
    """A mean over seeds; the bounds are NaN where there are too few seeds for an interval."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def bounded(self) -> bool:
        """Tell whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class Difference(Interval):
    """An arm minus the reference, paired by seed.

    Attributes:
        verdict: `better` or `worse` where the corrected p-value is below `LEVEL`, None elsewhere.
        p_value: Of the two-sided paired t test that it is 0, not corrected.
        p_holm: The same, corrected for the number of differences that are judged together.
    """

    verdict: Verdict | None
    p_value: float = math.nan
    p_holm: float = math.nan


def compare(
    difference: Interval, *, higher_is_better: bool, p_value: float, p_holm: float
) -> Difference:
    """Judge a difference: only a corrected p-value below `LEVEL` makes it better or worse."""
    verdict: Verdict | None = None
    if p_holm < LEVEL and difference.mean != 0:
        verdict = "better" if (difference.mean > 0) == higher_is_better else "worse"
    return Difference(**asdict(difference), verdict=verdict, p_value=p_value, p_holm=p_holm)


@dataclass(frozen=True)
class Metric:
    """What a metric is called, means and wants; shares, and differences of them, are percent."""

    label: str
    definition: str
    higher_is_better: bool
    is_share: bool = True


@dataclass(frozen=True)
class Result:
    """One metric of one arm.

    Attributes:
        values: Value by seed; NaN where it is undefined.
        interval: Mean over the seeds.
        difference: Against the reference; None for the reference itself.
    """

    values: Mapping[int, float]
    interval: Interval
    difference: Difference | None


@dataclass(frozen=True)
class Distribution:
    """How values spread over the samples of one round.

    Attributes:
        mean: Mean of the defined values; NaN where there are none.
        quantiles: Quantiles 0.1, 0.5 and 0.9.
        counts: Number of samples per bin; the bins are those of `rounds`.
    """

    mean: float
    quantiles: tuple[float, float, float]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Round:
    """Explanation consistency and weights of one round.

    Attributes:
        number: Counts from 1.
        samples: Number of training samples.
        undefined: Samples whose explanation consistency is undefined.
        effective_sample_size: (sum of weights)^2 / sum of squared weights.
        findings: What `score` noticed, by name.
        consistency: Spread of explanation consistency, in [0, 1].
        weight: Spread of the weights, which have mean 1.
    """

    number: int
    samples: int
    undefined: int
    effective_sample_size: float
    findings: Mapping[str, float]
    consistency: Distribution
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
    """An image, its perturbed twin and both heatmaps, as one model sees them.

    Attributes:
        sample_id: Its identifier.
        choice: Why it is shown, such as `least consistent`.
        label: Name of the true class, the one that is explained.
        predicted: Names of the classes predicted for the image and for its twin.
        correct: Whether these are right.
        consistency: Explanation consistency, in [0, 1].
        weight: Weight that training would give it.
        image: The image.
        perturbed: Its twin.
        clean: Heatmap of the image, raw, at the target layer's resolution.
        adversarial: Heatmap of the twin.
    """

    sample_id: str
    choice: str
    label: str
    predicted: tuple[str, str]
    correct: tuple[bool, bool]
    consistency: float
    weight: float
    image: UInt8[np.ndarray, "3 h w"] = field(repr=False)
    perturbed: UInt8[np.ndarray, "3 h w"] = field(repr=False)
    clean: Float[np.ndarray, "k l"] = field(repr=False)
    adversarial: Float[np.ndarray, "k l"] = field(repr=False)

    @property
    def scale(self) -> float:
        """Return the largest value of both heatmaps, the top of their common scale."""
        return float(max(self.clean.max(), self.adversarial.max()))

    @property
    def is_small(self) -> bool:
        """Tell whether the image is so small that its pixels should be seen."""
        return bool(max(self.image.shape[1:]) <= PIXEL_ART)


@dataclass(frozen=True)
class RoundSamples:
    """Samples of one round, sorted by class.

    Attributes:
        arm: Arm they come from.
        seed: Seed of its run.
        round: Number of the round.
        choice_seed: Seed of the random choices.
        classes: Number of classes of the data set; not all of many are shown.
        samples: The samples.
    """

    arm: str
    seed: int
    round: int
    choice_seed: int
    classes: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Experiment:
    """Arms over seeds: what `ectool run` left behind."""

    title: str
    reference: str
    seeds: tuple[int, ...]
    epochs: int
    warmup_epochs: int
    every: int
    metrics: Mapping[str, Metric]
    arms: tuple[Arm, ...]
    round_samples: RoundSamples | None
