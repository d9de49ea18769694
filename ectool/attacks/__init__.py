"""Perturbations of the background: masks, balls, losses, attacks. One visible dict of attacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ectool.attacks.apgd import apgd
from ectool.attacks.controls import blur, fill, noise
from ectool.attacks.explanation import climb_to_best
from ectool.attacks.mim import mim
from ectool.attacks.perturbation import Method
from ectool.attacks.pgd import fgsm, pgd


@dataclass(frozen=True)
class AttackKind:
    """An attack together with what it has to be fed.

    Attributes:
        run: Maps a ball, an objective, a start and settings to pixels in the ball.
        start: Where it begins unless told otherwise: at the clean image, anywhere in the ball,
            or at the distance eps.
        climbs: What it raises: a loss of the labels, the change of the heatmap, or nothing.
        bounded: Whether eps bounds it; the ball of the others has the radius 1.
    """

    run: Method
    start: Literal["clean", "ball", "surface"]
    climbs: Literal["loss", "heatmap"] | None = "loss"
    bounded: bool = True


ATTACKS: dict[str, AttackKind] = {
    "fgsm": AttackKind(fgsm, "clean"),
    "pgd": AttackKind(pgd, "ball"),
    "mim": AttackKind(mim, "clean"),
    "apgd": AttackKind(apgd, "surface"),
    "noise": AttackKind(noise, "ball", climbs=None),
    "blur": AttackKind(blur, "clean", climbs=None, bounded=False),
    "fill": AttackKind(fill, "clean", climbs=None, bounded=False),
    "explanation": AttackKind(climb_to_best, "ball", climbs="heatmap"),
}

__all__ = ["ATTACKS", "AttackKind"]
