"""Names of attacks and corruptions in artifacts, metrics and curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from ectool.config.evaluation_attacks import EVALUATION_ATTACKS, EvaluationAttack
from ectool.options import format_eps
from ectool.stages.common.layout import ATTACKS, CORRUPTIONS, RESCALED

Norm = Literal["linf", "l2"]

RADII: Mapping[str, Norm] = {"eps": "linf", "eps_l2": "l2"}
"""Norm of the radii of each option."""
MEASURES = {"": "accuracy", "_map": "map", "_map11": "map11"}
"""What is measured under attack, by the suffix of the metric's name."""
PLAIN = "pgd"
"""The attack whose metrics are called `robust` without a suffix."""


@dataclass(frozen=True)
class Condition:
    """An attack at a radius.

    Attributes:
        attack: One of `EVALUATION_ATTACKS`.
        norm: Norm of the radius.
        eps: Radius in pixel units.
        steps: Steps of iterative attacks.
    """

    attack: str
    norm: Norm
    eps: float
    steps: int

    @property
    def row(self) -> EvaluationAttack:
        """Return the definition of the attack."""
        return EVALUATION_ATTACKS[self.attack]

    @property
    def only_background(self) -> bool:
        """Return whether the attack is confined to the pixels outside the object."""
        return self.row.only_background

    @property
    def name(self) -> str:
        """Name the condition in predictions, e.g. `pgd20-linf-2_255`."""
        where = "-background" * self.only_background
        return f"{self.stem}-{self.norm}-{self._eps.replace('/', '_')}{where}"

    @property
    def stem(self) -> str:
        """Return the name of attack and steps, e.g. `pgd20`."""
        return f"{self._attack}{self.steps}" if self.row.takes_steps else self._attack

    @property
    def file(self) -> str:
        """Return the file of its artifact in an evaluation."""
        return f"{ATTACKS}/{self.name}.zarr"

    @property
    def radius(self) -> str:
        """Return the radius as in names of metrics: `2/255`, in the L2 norm `l2-0.5`."""
        return self._eps if self.norm == "linf" else f"{self.norm}-{self._eps}"

    @property
    def base(self) -> str:
        """Name the robust accuracy without the radius."""
        return metric_base(self.attack)

    @property
    def metric(self) -> str:
        """Name the robust accuracy, e.g. `robust@2/255`."""
        return f"{self.base}@{self.radius}"

    @property
    def measures(self) -> dict[str, str]:
        """Return the measure of each metric of the attack, by the name of the metric."""
        return {
            f"{self.base}{suffix}@{self.radius}": measure for suffix, measure in MEASURES.items()
        }

    @property
    def fields(self) -> dict[str, object]:
        """Return attack, norm and radius as fields of the results."""
        return {"attack": self.attack, "norm": self.norm, "radius": self.eps}

    def key(self, restarts: int, seed: int) -> dict[str, Any]:
        """Return the options that change the logits, in addition to model and data.

        Args:
            restarts: Number of random starts.
            seed: Seed of the starts.
        """
        found: dict[str, Any] = {"attack": self._attack, "norm": self.norm, "eps": self.eps}
        if self.row.takes_steps:
            found |= {"steps": self.steps, "restarts": restarts}
        if self.row.is_random:
            found["seed"] = seed
        if self.row.loss == "rescaled":
            found["loss"] = RESCALED
        return found | ({"only_background": True} if self.only_background else {})

    @property
    def _attack(self) -> str:
        """Return the name of the attack in artifacts, where the background is named separately."""
        return (self.row.method or self.attack) if self.only_background else self.attack

    @property
    def _eps(self) -> str:
        return format_eps(self.eps) if self.norm == "linf" else f"{self.eps:g}"


@dataclass(frozen=True)
class Check:
    """A gradient-free search around the images that resist the attacks at one radius.

    Attributes:
        conditions: The attacks, at least one, all at this radius.
        queries: Number of forward passes per image.
    """

    conditions: tuple[Condition, ...]
    queries: int = 100

    @property
    def norm(self) -> Norm:
        """Return the norm of the radius."""
        return self.conditions[0].norm

    @property
    def eps(self) -> float:
        """Return the radius."""
        return self.conditions[0].eps

    @property
    def name(self) -> str:
        """Name the check and its attacks: `search100-linf-2_255-after-pgd20`."""
        first = self.conditions[0]
        where = first.name.partition("-linf-" if self.norm == "linf" else "-l2-")[2]
        attacks = "+".join(condition.stem for condition in self.conditions)
        return f"search{self.queries}-{self.norm}-{where}-after-{attacks}"

    @property
    def file(self) -> str:
        """Return the file of its artifact in an evaluation."""
        return f"{ATTACKS}/{self.name}.zarr"

    def key(self, seed: int) -> dict[str, Any]:
        """Return the options that change it, in addition to model, data and the attacks."""
        return {"norm": self.norm, "eps": self.eps, "queries": self.queries, "seed": seed}


def conditions(options: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return the attacks that the options of an evaluation name, at every radius.

    Attacks on whole images come first; attacks on the background have L-inf radii only.
    """
    every = (
        Condition(attack, norm, eps, options["steps"])
        for (name, norm), attack in product(RADII.items(), options["attacks"])
        for eps in sorted(set(options[name]))
        if norm == "linf" or not EVALUATION_ATTACKS[attack].only_background
    )
    return tuple(sorted(every, key=lambda condition: condition.only_background))


def metric_base(attack: str) -> str:
    """Return the name of the robust accuracy under an attack, without the radius."""
    return "robust" if attack == PLAIN else f"robust_{attack}"


def corruption_file(kind: str) -> str:
    """Return the file of the predictions under a corruption in an evaluation."""
    return f"{CORRUPTIONS}/{kind}.zarr"


def severity_name(severity: int) -> str:
    """Name a severity in the predictions under a corruption, e.g. `severity-1`."""
    return f"severity-{severity}"
