"""Attacks of `perturb`, confined to a mask: one file each, and one row of `ATTACKS`.

The options of a new attack are a row of `ATTACK_OPTIONS`, and its name a choice of `Attack`, in
ectool/config/perturb.py; tests compare both, and the table in docs/method.md, with `ATTACKS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ectool.attacks.apgd import apgd
from ectool.attacks.controls import blur, fill, noise, swap
from ectool.attacks.explanation import pgd_best
from ectool.attacks.mim import mim
from ectool.attacks.perturbation import AttackFunction
from ectool.attacks.pgd import fgsm, pgd


@dataclass(frozen=True)
class AttackKind:
    """An attack and what it requires.

    Attributes:
        run: Maps a ball, an objective, a start and settings to pixels in the ball.
        start: Default start: the clean image, a random point in the ball, a random point at
            distance eps, or another image of the data without its object.
        maximizes: What it maximizes: a loss of the labels, the change of the heatmap, or nothing.
        bounded: Whether eps bounds it; the others get a ball of radius 1.
    """

    run: AttackFunction
    start: Literal["clean", "ball", "surface", "other"]
    maximizes: Literal["loss", "heatmap"] | None = "loss"
    bounded: bool = True


ATTACKS: dict[str, AttackKind] = {
    "fgsm": AttackKind(fgsm, "clean"),
    "pgd": AttackKind(pgd, "ball"),
    "mim": AttackKind(mim, "clean"),
    "apgd": AttackKind(apgd, "surface"),
    "noise": AttackKind(noise, "ball", maximizes=None),
    "blur": AttackKind(blur, "clean", maximizes=None, bounded=False),
    "fill": AttackKind(fill, "clean", maximizes=None, bounded=False),
    "swap": AttackKind(swap, "other", maximizes=None, bounded=False),
    "explanation": AttackKind(pgd_best, "ball", maximizes="heatmap"),
}

__all__ = ["ATTACKS", "AttackKind"]
