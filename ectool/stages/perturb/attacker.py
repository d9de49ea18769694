"""From the options of an attack to perturbed images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ectool.attacks import ATTACKS
from ectool.attacks.ball import BALLS, Ball
from ectool.attacks.losses import TARGET_CLASSES, find_loss, scale_of
from ectool.attacks.objectives import HeatmapChange, LabelLoss, Model, Objective
from ectool.attacks.perturbation import Perturbed, perturb
from ectool.attacks.pgd import Settings
from ectool.attacks.random_start import start_streams
from ectool.attacks.watch import Watch
from ectool.config import PerturbConfig
from ectool.datasets.labels import positives
from ectool.errors import UsageError
from ectool.explainers.cam.differentiable import DifferentiableGradCAM
from ectool.models.classifier import Classifier

COLD_STEPS = 5
WARM_STEPS = 2
STEP_SHARE = 2.5
"""Steps add up to this many radii unless --alpha is given, after Madry et al. 2018."""
MIM_STEP_SHARE = 1.0
"""The same for the momentum method, after Dong et al. 2018."""


@dataclass(frozen=True)
class Clean:
    """What the attack needs to know of a few samples.

    Attributes:
        sample_ids: Identifiers, which random numbers belong to.
        pixels: Clean images in [0, 1].
        labels: True labels.
        weight: Share of the radius that each pixel may use.
        logits: The judge's answer to the clean images.
        start: Images of an earlier round to start from, 0 to 255.
        watch: Looks on at the attack.
    """

    sample_ids: list[str]
    pixels: Tensor
    labels: Tensor
    weight: Tensor
    logits: Tensor
    start: Tensor | None
    watch: Watch | None = None


class Attacker:
    """Runs the attack that the options describe.

    Args:
        config: The options.
        model: The frozen classifier that gradients are taken of.
        judge: The classifier whose answers count; the same, or a more precise one.
        width: Most labels of a sample, where there are several, else None.

    Raises:
        UsageError: The options do not fit the data.
    """

    def __init__(
        self, config: PerturbConfig, model: Classifier, judge: Classifier, width: int | None
    ) -> None:
        self.config = config
        self.model = model
        self.judge = judge
        self.width = width
        self.kind = ATTACKS[config.attack]
        if config.target_class is not None and width is not None:
            raise UsageError(
                "--target-class",
                expected="one label a sample",
                got="several labels",
                fix="leave it out",
            )
        classes, targeted = len(judge.class_names), config.target_class is not None
        self.several = width is not None
        self.loss = find_loss(config.loss, classes, several=self.several, targeted=targeted)
        self.settings = self._settings()

    def __call__(self, clean: Clean, judge: Model | None = None) -> Perturbed:
        """Attack a batch.

        Args:
            clean: The batch.
            judge: Answers in place of the judge, as it would, and sees what it is asked.

        Cost: see the attack; `restarts` times that, and 1 forward for the logits of each result.
        """
        radius = self.config.eps if self.kind.bounded else 1.0
        ball = BALLS[self.config.norm].around(clean.pixels, clean.weight, radius)
        return perturb(
            self.kind.run,
            ball,
            self._objective(clean),
            self._starts(ball, clean),
            self.settings,
            judge=judge or self.judge,
        )

    @property
    def takes_steps(self) -> bool:
        """Tell whether a gradient is followed at all."""
        return self.config.attack == "fgsm" or self.settings.steps > 0

    def _settings(self) -> Settings:
        config = self.config
        steps = config.steps
        if steps is None:
            steps = COLD_STEPS if config.init is None else WARM_STEPS
        share = MIM_STEP_SHARE if config.attack == "mim" else STEP_SHARE
        return Settings(
            steps=steps,
            alpha=config.alpha or share * config.eps / max(steps, 1),
            decay=config.decay,
            sigma=config.sigma,
            color=config.fill_color,
        )

    def _objective(self, clean: Clean) -> Objective:
        if self.kind.climbs == "heatmap":
            return self._heatmap_change(clean)
        targets = None
        if self.config.target_class is not None:
            choose = TARGET_CLASSES[self.config.target_class]
            targets = choose(clean.logits, clean.labels, clean.sample_ids, self.config.seed)
        scale = scale_of(clean.logits, several=self.several) if self.loss.rescaled else None
        watch = clean.watch
        return LabelLoss(self.model, self.loss, clean.labels, targets, scale=scale, watch=watch)

    def _heatmap_change(self, clean: Clean) -> HeatmapChange:
        """Return the change of the true labels' Grad-CAM, whatever the mask is made of."""
        targets, answers = clean.labels, clean.logits.argmax(1)
        if self.width is not None:
            several = positives(clean.labels.cpu().numpy(), self.width)
            targets = torch.from_numpy(several).to(clean.labels.device)
            answers = (clean.logits > 0).to(torch.int8)
        explainer = DifferentiableGradCAM(self.model)

        def explain(pixels: Tensor) -> tuple[Tensor, Tensor]:
            explanation = explainer(pixels, targets)
            return explanation.heatmaps, explanation.logits

        heatmaps = explain(clean.pixels)[0].detach()
        scale = scale_of(clean.logits, several=self.several)
        return HeatmapChange(explain, heatmaps, answers, scale, clean.watch)

    def _starts(self, ball: Ball, clean: Clean) -> Iterator[Tensor]:
        """Yield where each restart begins: the first as told, the others at random."""
        surface, at_random = self.kind.start == "surface", self.config.random_start
        if at_random is None:
            at_random = self.kind.start != "clean"
        for restart in range(self.config.restarts):
            if restart == 0 and clean.start is not None:
                yield clean.start.float().div_(255)
            elif restart == 0 and not at_random:
                yield clean.pixels
            else:
                streams = start_streams(clean.sample_ids, self.config.seed, restart)
                yield ball.random_point(streams, surface=surface)
