"""Options of the training objectives, their defaults, and which of them apply to each objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, model_validator

from ectool.errors import UsageError
from ectool.options import Number, Options, option

START = "objective_start"
_ATTACK: Mapping[str, float] = {"eps": 16 / 255, "attack_steps": 2, "alpha": 0.0}
OBJECTIVE_OPTIONS: dict[str, Mapping[str, float]] = {
    "erm": {},
    "focal": {START: 0.2, "gamma": 2.0},
    "label-smoothing": {START: 0.0, "strength": 0.1},
    "adversarial": {START: 0.2, **_ATTACK},
    "adversarial-background": {START: 0.2, **_ATTACK},
    "random": {START: 0.2},
    "ohem": {START: 0.2, "share": 0.5},
    "self-paced": {START: 0.0, "share": 0.5},
    "group-dro": {START: 0.0, "step_size": 0.01},
    "mixup": {START: 0.0, "strength": 0.2},
    "cutmix": {START: 0.0, "strength": 1.0, "share": 0.5},
    "trades": {START: 0.2, **_ATTACK, "attack_steps": 5, "strength": 6.0},
    "jtt": {START: 0.2, "strength": 5.0},
    "lff": {"strength": 0.7},
    "saliency": {START: 0.0, "share": 0.5, "strength": 1.0},
    "cgc": {START: 0.0, "share": 0.08, "strength": 0.5, "temperature": 0.5},
    "masktune": {"strength": 0.01},
}
"""Options that apply to each objective, with their defaults; a new objective needs a row.

The order is that of the help. Options are checked without importing torch, so the names stand here
too; a test compares them with `ectool.training.objectives.OBJECTIVES`. The step size 0 of an attack
stands for `eps / min(attack_steps, 4)`.
"""
_SMALLEST_STEP = 4
"""Default steps are at least the radius divided by this."""
REPLACING: frozenset[str] = frozenset({"adversarial", "adversarial-background"})
"""Objectives that replace a share of the images by perturbed ones; `--mix` is that share."""
RESTARTING: frozenset[str] = frozenset({"jtt"})
"""Objectives that train again from the start: the learning rate does, too, when they begin."""
LAST_EPOCH: frozenset[str] = frozenset({"masktune"})
"""Objectives of the last epoch, with a constant learning rate of `strength` times the peak."""
NEEDS_GROUPS = frozenset({"group-dro"})
"""Objectives that need a data set with groups."""
ONE_LABEL = frozenset({"lff"})
"""Objectives that need one label per image: their definition does not carry over to multi-label."""
OWN_WEIGHTS = frozenset({"random"})
"""Objectives that draw or compute the weights themselves, and so take no sample weights."""


def check_objective(name: str) -> str:
    """Refuse an unknown objective.

    Raises:
        ValueError: What was expected.
    """
    if name not in OBJECTIVE_OPTIONS:
        raise ValueError(f"one of {', '.join(OBJECTIVE_OPTIONS)}")
    return name


class ObjectiveOptions(Options):
    """Objective of a training; options without a value have the default of the objective."""

    objective: Annotated[str, AfterValidator(check_objective)] = option(
        "erm", f"Loss of a batch: {', '.join(OBJECTIVE_OPTIONS)}. See docs/objectives.md."
    )
    objective_start: Number | None = option(
        None, "Share of the epochs of plain training (erm) before the objective.", ge=0, lt=1
    )
    gamma: Number | None = option(
        None, "focal: exponent of 1 - p; ec: exponent of 1 - E in the weights.", ge=0
    )
    strength: Number | None = option(
        None,
        "label-smoothing: share of the target for all classes; mixup, cutmix: both parameters of "
        "the Beta distribution of an image's part, 0: no mixture; trades, saliency, cgc: factor of "
        "the second term; jtt: weight of the error set; lff: exponent q of the biased loss; "
        "masktune: learning rate of the last epoch, as a share of the peak.",
        ge=0,
    )
    share: Number | None = option(
        None,
        "ohem: share of each batch that is learned, the hardest; self-paced: that of the easiest, "
        "at first; cutmix: share of the batches that are mixed; saliency: share of the pixels that "
        "are masked; cgc: minimum share of the area in a crop.",
        gt=0,
        le=1,
    )
    step_size: Number | None = option(
        None, "group-dro: step size of the weights of the groups.", ge=0
    )
    eps: Number | None = option(
        None, "Radius of the attack of the objective in pixel units, e.g. 8/255.", gt=0, le=1
    )
    attack_steps: int | None = option(None, "Steps of the attack of the objective.", ge=1)
    alpha: Number | None = option(
        None, "Step size of the attack in pixel units. Default: eps / min(attack_steps, 4).", gt=0
    )
    temperature: Number | None = option(None, "cgc: divisor of the similarities of heatmaps.", gt=0)

    @model_validator(mode="after")
    def _check_objective(self) -> ObjectiveOptions:
        """Refuse options that do not apply to the objective.

        Raises:
            UsageError: The first such option.
        """
        for name in self.model_fields_set & set(ObjectiveOptions.model_fields) - {"objective"}:
            applies = name in OBJECTIVE_OPTIONS[self.objective]
            if getattr(self, name) is not None and not applies:
                objectives = [o for o, names in OBJECTIVE_OPTIONS.items() if name in names]
                raise UsageError(
                    "--" + name.replace("_", "-"),
                    expected=f"an objective that it applies to ({', '.join(objectives)})",
                    got=f"--objective {self.objective}",
                    fix="leave it out",
                )
        return self

    def settings(self) -> dict[str, float]:
        """Return the options that apply to the objective, with their values or defaults."""
        defaults = OBJECTIVE_OPTIONS[self.objective].items()
        given = {name: getattr(self, name) for name, _ in defaults}
        settings = {n: given[n] if given[n] is not None else default for n, default in defaults}
        if settings.get("alpha") == 0:
            settings["alpha"] = settings["eps"] / min(settings["attack_steps"], _SMALLEST_STEP)
        return settings

    def keyed(self) -> dict[str, Any]:
        """Return the options that can change the result; of the objective, only those that apply.

        None for plain training (erm), so that the keys of earlier versions stay valid.
        """
        fields = ObjectiveOptions.model_fields
        others = {name: value for name, value in super().keyed().items() if name not in fields}
        if self.objective == "erm":
            return others
        return {**others, "objective": self.objective, **self.settings()}
