"""Names of attacks and corruptions in artifacts, metrics and curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from ectool.options import format_eps
from ectool.stages.common.layout import ATTACKS, CORRUPTIONS, RESCALED

Norm = Literal["linf", "l2"]

RADII: Mapping[str, Norm] = {"eps": "linf", "eps_l2": "l2"}
"""Norm of the radii of each option."""
STEPLESS = ("fgsm", "autoattack")
"""Attacks that --steps does not apply to."""
BACKGROUND = "background"
"""The attack that is PGD confined to the pixels outside the object, in the L-inf norm."""
NOT_OF_SEVERAL = ("apgd-ce", "apgd-t", "autoattack")
"""Attacks that are defined for one label a sample."""


@dataclass(frozen=True)
class Condition:
    """An attack at a radius.

    Attributes:
        attack: One of `EVALUATION_ATTACKS`.
        norm: In which norm it is bounded.
        eps: Radius in pixel units.
        steps: Steps of attacks that take several.
        only_background: Whether it is confined to the pixels outside the object.
    """

    attack: str
    norm: Norm
    eps: float
    steps: int
    only_background: bool = False

    @property
    def name(self) -> str:
        """Name the condition in predictions, e.g. `pgd20-linf-2_255`."""
        where = "-background" * self.only_background
        return f"{self.stem}-{self.norm}-{self._eps.replace('/', '_')}{where}"

    @property
    def stem(self) -> str:
        """Name attack and steps, e.g. `pgd20`."""
        return self.attack if self.attack in STEPLESS else f"{self.attack}{self.steps}"

    @property
    def file(self) -> str:
        """Return where its artifact lies in an evaluation."""
        return f"{ATTACKS}/{self.name}.zarr"

    @property
    def radius(self) -> str:
        """Write the radius as metrics do: `2/255`, in the L2 norm `l2-0.5`."""
        return self._eps if self.norm == "linf" else f"{self.norm}-{self._eps}"

    @property
    def kind(self) -> str:
        """Name what is done at growing radii: the attack, or that it spares the object."""
        return BACKGROUND if self.only_background else self.attack

    @property
    def base(self) -> str:
        """Name the robust accuracy without the radius: plain `robust` is that under PGD."""
        return "robust" if self.kind == "pgd" else f"robust_{self.kind}"

    @property
    def metric(self) -> str:
        """Name the metric of one label a sample, e.g. `robust@2/255`."""
        return f"{self.base}@{self.radius}"

    def key(self, restarts: int, seed: int) -> dict[str, Any]:
        """Return what determines the answers besides model and data.

        Args:
            restarts: How often attacks of ours start, if at random.
            seed: Seed of the starts.
        """
        found: dict[str, Any] = {"attack": self.attack, "norm": self.norm, "eps": self.eps}
        if self.attack not in STEPLESS:
            found |= {"steps": self.steps, "restarts": restarts}
        if self.attack != "fgsm":
            found["seed"] = seed
        if self.attack not in ("apgd-t", "autoattack"):
            found["loss"] = RESCALED
        return found | ({"only_background": True} if self.only_background else {})

    @property
    def _eps(self) -> str:
        return format_eps(self.eps) if self.norm == "linf" else f"{self.eps:g}"


@dataclass(frozen=True)
class Check:
    """A search without gradients around what withstood the attacks at one radius.

    Attributes:
        conditions: The attacks, at least one, all at this radius.
        queries: How often the model is asked about an image.
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
        """Name the check, and what it comes after: `search100-linf-2_255-after-pgd20`."""
        first = self.conditions[0]
        where = first.name.partition("-linf-" if self.norm == "linf" else "-l2-")[2]
        attacks = "+".join(condition.stem for condition in self.conditions)
        return f"search{self.queries}-{self.norm}-{where}-after-{attacks}"

    @property
    def file(self) -> str:
        """Return where its artifact lies in an evaluation."""
        return f"{ATTACKS}/{self.name}.zarr"

    def key(self, seed: int) -> dict[str, Any]:
        """Return what determines it besides model, data and the attacks."""
        return {"norm": self.norm, "eps": self.eps, "queries": self.queries, "seed": seed}


def conditions(options: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return the attacks on whole images that the options of an evaluation ask for."""
    return tuple(
        Condition(attack, norm, eps, options["steps"])
        for (name, norm), attack in product(RADII.items(), options["attacks"])
        if attack != BACKGROUND
        for eps in sorted(set(options[name]))
    )


def background_conditions(options: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return PGD on the background alone at every L-inf radius, where that is asked for."""
    if BACKGROUND not in options["attacks"]:
        return ()
    return tuple(
        Condition("pgd", "linf", eps, options["steps"], only_background=True)
        for eps in sorted(set(options["eps"]))
    )


def corruption_file(kind: str) -> str:
    """Return where the answers under a corruption lie in an evaluation."""
    return f"{CORRUPTIONS}/{kind}.zarr"


def severity_name(severity: int) -> str:
    """Name a severity in the answers under a corruption, e.g. `severity-1`."""
    return f"severity-{severity}"
