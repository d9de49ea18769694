"""Make the versions of the images of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ectool.attacks import replacement
from ectool.attacks.ball import LinfBall
from ectool.attacks.controls import blur
from ectool.attacks.losses import LOSSES, scale_of
from ectool.attacks.masks import full, inverse, quantile
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.perturbation import finish
from ectool.attacks.pgd import Settings, pgd
from ectool.attacks.random_start import start_streams
from ectool.config.validity import ATTACKS, StudyConfig
from ectool.models.classifier import Classifier, to_pixels
from ectool.options import MAX_PIXEL
from ectool.stages.perturb.attacker import STEP_SHARE
from ectool.stages.validity.batches import in_batches, parts
from ectool.stages.validity.scene import Scene
from ectool.stages.validity.versions import ATTACKED_SHARE, AUTO, CLEAN, CONTROL, Version

SEED = 0
OBJECT_SHARE = 0.15
"""Share of the pixels that are taken for the object of an image behind another one."""
PROBED = 200
"""Maximum number of correct images with which the radius `auto` is found."""
RADII = (0.5, 64.0)
HALVINGS = 6


@dataclass
class Versions:
    """The versions of the images of one checkpoint, made one after the other.

    Attributes:
        model: A frozen classifier.
        scene: The images.
        maps: Heatmaps of the true class at the pixels, by name.
        logits: Logits of the images.
        config: Options of the study.
        radii: Radius `auto` of each attack that was used, in grey levels.
    """

    model: Classifier
    scene: Scene
    maps: dict[str, Float[Tensor, "n h w"]]
    logits: Float[Tensor, "n c"]
    config: StudyConfig
    radii: dict[str, float] = field(default_factory=dict)

    def background(self, version: Version) -> Tensor | None:
        """Return the pixels that a version changes; None for all of them, or none."""
        if version.kind in ATTACKS:
            return None if version.kind == "pgd-full" else self._attacked(version.kind)
        if version.kind == CLEAN:
            return None
        return quantile(self._map(version), float(version.amount))

    def draws(self, version: Version) -> Iterator[Tensor]:
        """Yield the images of a version: several draws where other images are shown."""
        if version.kind == CLEAN:
            yield self.scene.pixels
        elif version.kind in ATTACKS:
            yield self._attack(version)
        elif version.kind in ("fill", "blur"):
            yield self._plain(version)
        else:
            yield from self._others(version)

    def _map(self, version: Version) -> Tensor:
        maps = self.maps[version.source]
        if version.kind != CONTROL:
            return maps
        return maps[replacement.draw_others(self.scene.sample_ids, SEED, self.config.donors)]

    def _plain(self, version: Version) -> Tensor:
        pixels, background = self.scene.pixels, quantile(self._map(version), float(version.amount))
        if version.kind == "fill":
            return replacement.filled(pixels, background)
        loss = LabelLoss(self.model, LOSSES["margin"], self.scene.labels)
        return in_batches(
            lambda x, b: blur(LinfBall.around(x, b, 1.0), loss, x, Settings()), pixels, background
        )

    def _others(self, version: Version) -> Iterator[Tensor]:
        """Yield the images on those of other images, with or without the others' objects."""
        pixels = self.scene.pixels
        background = quantile(self._map(version), float(version.amount))
        behind = pixels
        if version.kind != "swap":
            own = quantile(self.maps[version.source], 1 - OBJECT_SHARE)
            behind = replacement.without_object(pixels, own)
        for draw in range(self.config.donors):
            others = replacement.draw_others(self.scene.sample_ids, SEED, draw)
            yield replacement.replaced(pixels, background, behind[others])

    def _attack(self, version: Version) -> Tensor:
        if version.amount != AUTO:
            levels = float(version.amount)
        elif version.kind in self.radii:
            levels = self.radii[version.kind]
        else:
            levels = self.radii[version.kind] = self._half_radius(version.kind)
        rows = torch.arange(len(self.scene.pixels), device=self.scene.pixels.device)
        return self._perturbed(version.kind, levels, rows)

    def _half_radius(self, kind: str) -> float:
        """Return the radius at which half of the correct images change, by bisection of its log."""
        correct = (self.logits.argmax(1) == self.scene.labels).nonzero()[:PROBED, 0]
        low, high = RADII
        for _ in range(HALVINGS):
            middle = math.sqrt(low * high)
            logits = in_batches(self.model, self._perturbed(kind, middle, correct))
            changed = logits.argmax(1) != self.scene.labels[correct]
            is_weak = float(changed.float().mean()) < 0.5
            low, high = (middle, high) if is_weak else (low, middle)
        return math.sqrt(low * high)

    def _attacked(self, kind: str) -> Tensor:
        maps = self.maps["gradcam"]
        if kind == "pgd-full":
            return full(maps)
        return (inverse if kind == "pgd-inverse" else quantile)(maps, ATTACKED_SHARE)

    def _perturbed(self, kind: str, levels: float, rows: Tensor) -> Tensor:
        """Return the images of some rows after PGD from a random start, on the uint8 grid."""
        eps, weight = max(levels, 1.0) / MAX_PIXEL, self._attacked(kind)
        settings = Settings(steps=self.config.steps, alpha=STEP_SHARE * eps / self.config.steps)
        scale, found = scale_of(self.logits), []
        objective = LabelLoss(self.model, LOSSES["scaled-ce"], self.scene.labels, scale=scale)
        for part in parts(rows):
            ball = LinfBall.around(self.scene.pixels[part], weight[part], eps)
            names = [self.scene.sample_ids[row] for row in part.tolist()]
            loss = replace(objective.take(part), monitor=None)
            result = pgd(ball, loss, ball.random_point(start_streams(names, SEED)), settings)
            found.append(finish(ball, result, self.model, loss.allows).images)
        return to_pixels(torch.cat(found)) if found else self.scene.pixels[:0]
