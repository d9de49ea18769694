"""`perturb --eps auto`: the radius at which half of the correct predictions change."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.partial import PartialArtifact
from ectool.attacks.flip_level import flip_level, predicts_label
from ectool.config import PerturbConfig
from ectool.datasets.base import Dataset, Indices
from ectool.datasets.subset import limited
from ectool.models.classifier import Classifier
from ectool.options import MAX_PIXEL, format_radius
from ectool.stages.common.batches import AttackBatch
from ectool.stages.common.layout import (
    AUTO_EPS,
    AUTO_EPS_AT_END,
    AUTO_EPS_CHANGED,
    AUTO_EPS_SAMPLES,
)
from ectool.stages.perturb.attacker import Attacker
from ectool.stages.perturb.work import PerturbWork
from ectool.types import Reporter

SAMPLES = 256
"""Maximum number of samples of the search, selected by a hash of seed and sample id."""
GOAL = 0.5
"""Share of the correct predictions that the attack changes at the radius."""
FIRST = {"linf": 8, "l2": 17}
"""First level of the search: 8/255, and 1 in the l2 norm."""
LARGEST = {"linf": MAX_PIXEL, "l2": 49}
"""Last level of the search: 1, and 256 in the l2 norm."""
L2_SMALLEST, L2_PER_DOUBLING = 1 / 16, 4


def eps_of(level: int, norm: str) -> float:
    """Return the radius of a level: k/255 in linf, ``2**((k - 1) / 4) / 16`` in l2."""
    if norm == "linf":
        return level / MAX_PIXEL
    return float(L2_SMALLEST * 2 ** ((level - 1) / L2_PER_DOUBLING))


def with_radius(
    config: PerturbConfig,
    model: Classifier,
    dataset: Dataset,
    initial: Artifact | None,
    partial: PartialArtifact,
    reporter: Reporter,
) -> PerturbConfig:
    """Return the options with a number as eps; `auto` is searched once, and recorded.

    A continued output, and one whose damaged shards are computed again, keep the radius that their
    other shards have.

    Args:
        config: The options.
        model: A frozen classifier.
        dataset: The clean images.
        initial: Perturbed samples of an earlier round to start from.
        partial: The unfinished output, whose findings hold the radius.
        reporter: Receives a note of the radius.

    Cost: nothing if eps is a number. Otherwise 1 pass with heatmaps over at most `SAMPLES` images,
    and the attack and 1 forward pass for each of 4 to 7 radii, if the result is at most 32/255.
    """
    if config.eps != "auto":
        return config
    found = partial.recorded_findings()
    if AUTO_EPS not in found:
        found = RadiusSearch(config, model, dataset, initial).find()
        partial.record_findings(found)
        reporter.note(f"{config.output}: {describe(found, config.norm)}")
    return config.model_copy(update={"eps": found[AUTO_EPS]})


def describe(found: dict[str, float], norm: str) -> str:
    """Return the radius and its effect as a sentence."""
    radius = format_radius(found[AUTO_EPS], norm)
    changed, count = 100 * found[AUTO_EPS_CHANGED], int(found[AUTO_EPS_SAMPLES])
    return f"--eps auto: {radius} changes {changed:.0f} % of {count} correct predictions"


class RadiusSearch:
    """Searches the radius for a model, with the attack and the mask that the options describe.

    Args:
        config: The options.
        model: A frozen classifier.
        dataset: The clean images.
        initial: Perturbed samples of an earlier round to start from; projected into each ball.
    """

    def __init__(
        self, config: PerturbConfig, model: Classifier, dataset: Dataset, initial: Artifact | None
    ) -> None:
        self.config = config
        self.subset = limited(dataset, SAMPLES, config.seed)
        self.work = PerturbWork(self._at(FIRST[config.norm]), model, self.subset, initial)
        self.batches = [batch for batch in map(self._correct, self._rows()) if batch.sample_ids]
        self.work.tally.take()
        self.correct = sum(_kept(batch, batch.logits) for batch in self.batches)

    def find(self) -> dict[str, float]:
        """Return the findings of the search: radius, number of samples, share of changes."""
        norm = self.config.norm
        found = flip_level(self.share, goal=GOAL, first=FIRST[norm], largest=LARGEST[norm])
        findings: dict[str, float] = {
            AUTO_EPS: eps_of(found.level, norm),
            AUTO_EPS_SAMPLES: self.correct,
            AUTO_EPS_CHANGED: round(found.share, 6),
        }
        is_at_end = found.level == 1 or found.share < GOAL
        return {**findings, AUTO_EPS_AT_END: 1} if is_at_end else findings

    def share(self, level: int) -> float:
        """Return the share of correct predictions that the attack changes; 1 without any."""
        work = self.work
        models = work.attacker.model, work.attacker.evaluation_model
        attacker = Attacker(self._at(level), *models, work.width)
        kept = sum(_kept(batch, attacker(batch).logits) for batch in self.batches)
        return 1 - kept / self.correct if self.correct else 1.0

    def _at(self, level: int) -> PerturbConfig:
        return self.config.model_copy(update={"eps": eps_of(level, self.config.norm)})

    def _rows(self) -> list[Indices]:
        count, size = len(self.subset.sample_ids), self.config.batch
        return [np.arange(first, min(first + size, count)) for first in range(0, count, size)]

    def _correct(self, rows: Indices) -> AttackBatch:
        """Return the samples of a batch with a correct prediction, ready to be attacked."""
        batch = self.work.prepare(self.work.load(rows)).batch
        return batch.take(predicts_label(batch.logits, batch.labels).any(1).nonzero()[:, 0])


def _kept(batch: AttackBatch, logits: Tensor) -> int:
    """Return the number of correct predictions of clean images that these logits keep."""
    correct = predicts_label(batch.logits, batch.labels)
    return int((correct & predicts_label(logits, batch.labels)).sum())
