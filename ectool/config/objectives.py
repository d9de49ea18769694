"""Options of the training objectives, their defaults, and which of them apply to each objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from ectool.config.groups import RADIUS
from ectool.errors import UsageError
from ectool.options import Number, Options, option

START = "objective_start"
ONLINE = "ec"
NAMES = frozenset({"objective", "online"})
"""Options that name the objective; the others are its settings."""
Settings = Mapping[str, Any]
_ATTACK: Settings = {"eps": 16 / 255, "attack_steps": 2, "alpha": 0.0}
_EC: Settings = {
    START: 0.2,
    "eps": 24 / 255,
    "attack_steps": 1,
    "object_eps": 12 / 255,
    "object_ramp": 0.6,
    "mask_source": "gradient",
    "mask_level": 0.75,
    "mask_sigma": 3 / 64,
    "swap": 1.0,
    "weighting": "uniform",
    "gamma": 1.0,
    "cap": 10.0,
    "weight_momentum": 0.0,
    "scored_epochs": 1,
}
_CAM: Settings = {
    **_EC,
    "mask_source": "heatmap",
    "mask_level": 0.5,
    "mask_sigma": 0.0,
    "swap": 0.0,
}
OBJECTIVE_OPTIONS: dict[str, Settings] = {
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
    "ec": _EC,
    "ec-weights": {
        **_CAM,
        "eps": 16 / 255,
        "object_eps": 0.0,
        "weighting": "consistency",
        "scored_epochs": 0,
    },
    "ec-other": {**_EC, "mask_source": "other"},
    "ec-cam": {**_CAM, "weighting": "consistency"},
    "ec-samples": _CAM,
    "ec-permuted": {**_CAM, "weighting": "permuted"},
    "ec-random": {**_CAM, "weighting": "random"},
    "ec-rate": {**_CAM, "weighting": "rate"},
}
"""Options that apply to each objective, with their defaults; a new objective needs a row.

The order is that of the help. Options are checked without importing torch, so the names stand here
too; a test compares them with `ectool.training.objectives.OBJECTIVES`. The step size 0 of an attack
stands for `eps / min(attack_steps, 4)`.
"""
_SMALLEST_STEP = 4
"""Default steps are at least the radius divided by this."""
RESTARTING: frozenset[str] = frozenset({"jtt"})
"""Objectives that train again from the start: the learning rate does, too, when they begin."""
LAST_EPOCH: frozenset[str] = frozenset({"masktune"})
"""Objectives of the last epoch, with a constant learning rate of `strength` times the peak."""
REPLACING: Mapping[str, float] = {
    "adversarial": 0.5,
    "adversarial-background": 0.5,
    "ec": 1.0,
    "ec-weights": 0.0,
    "ec-other": 1.0,
    "ec-cam": 0.5,
    "ec-samples": 0.5,
    "ec-permuted": 0.5,
    "ec-random": 0.5,
    "ec-rate": 0.5,
}
"""Objectives that replace a share of the images by perturbed ones, with the default of `--mix`."""
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

    PANEL = "objective"

    objective: Annotated[str, AfterValidator(check_objective)] = option(
        "erm",
        f"Loss of a batch: {', '.join(OBJECTIVE_OPTIONS)}. See docs/objectives.md.",
        main=True,
        choices=tuple(OBJECTIVE_OPTIONS),
    )
    online: bool = option(
        False,
        "Short for --objective ec: explanation consistency inside each batch, without rounds.",
        keyed=False,
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
        None,
        "Radius of the attack of the objective in pixel units, e.g. 8/255.",
        gt=0,
        le=1,
        metavar=RADIUS,
    )
    attack_steps: int | None = option(None, "Steps of the attack of the objective.", ge=1)
    alpha: Number | None = option(
        None,
        "Step size of the attack in pixel units. Default: eps / min(attack_steps, 4).",
        gt=0,
        metavar=RADIUS,
    )
    temperature: Number | None = option(None, "cgc: divisor of the similarities of heatmaps.", gt=0)
    object_eps: Number | None = option(
        None,
        "ec: maximum radius on the object, outside the background.",
        ge=0,
        le=1,
        metavar=RADIUS,
    )
    object_ramp: Number | None = option(
        None, "ec: share of the objective's epochs in which --object-eps rises from 0.", ge=0, le=1
    )
    mask_source: Literal["gradient", "heatmap", "other"] | None = option(
        None,
        "ec: what finds the background: the input gradient of the attack, Grad-CAM, or the "
        "gradient of another image (a control).",
    )
    mask_level: Number | None = option(
        None,
        "ec: share of the pixels that are background, those with the lowest values.",
        ge=0,
        le=1,
    )
    mask_sigma: Number | None = option(
        None,
        "ec, gradient: standard deviation of the map's smoothing, as a share of the height.",
        ge=0,
        le=0.5,
    )
    swap: Number | None = option(
        None, "ec: share of perturbed images with the background of another image.", ge=0, le=1
    )
    weighting: Literal["uniform", "consistency", "permuted", "random", "rate"] | None = option(
        None, "ec: weights of the samples; permuted, random and rate are controls."
    )
    cap: Number | None = option(None, "ec: maximum weight of a sample.", ge=1)
    weight_momentum: Number | None = option(
        None, "ec: share of the last weight of a sample in its new one.", ge=0, lt=1
    )
    scored_epochs: int | None = option(
        None,
        "ec: number of epochs that score the weights; later each sample keeps its own. 0: all.",
        ge=0,
    )

    @model_validator(mode="before")
    @classmethod
    def _resolve_online(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Resolve `online`.

        Raises:
            UsageError: There is another objective, too.
        """
        if given.get("online") is not True:
            return given
        objective = given.get("objective", ONLINE)
        if objective != ONLINE:
            raise UsageError(
                "--online",
                expected=f"no other objective than {ONLINE}",
                got=f"--objective {objective}",
                fix="leave out one of them",
            )
        return {**given, "objective": ONLINE}

    @model_validator(mode="after")
    def _check_objective(self) -> ObjectiveOptions:
        """Refuse options that do not apply to the objective.

        Raises:
            UsageError: The first such option.
        """
        for name in self.model_fields_set & set(ObjectiveOptions.model_fields) - NAMES:
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

    def settings(self) -> dict[str, Any]:
        """Return the options that apply to the objective, with their values or defaults."""
        settings = self.filled(OBJECTIVE_OPTIONS[self.objective])
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
