"""Options of `perturb`, and which of them apply to each attack and mask rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from ectool.config.groups import (
    RADIUS,
    RGB,
    ArrayOptions,
    DataOptions,
    DeviceOptions,
    ModelOptions,
)
from ectool.config.heatmaps import CompileOptions
from ectool.config.parts import PartOptions
from ectool.config.splits import Split, split_option
from ectool.errors import UsageError
from ectool.options import Channels, Number, Positive, format_eps, option, whole_levels

MaskRule = Literal["quantile", "fraction", "threshold", "otsu", "object", "inverse", "full"]
MAPLESS_MASKS = frozenset({"object", "full"})
LEVELLESS_MASKS = frozenset({"otsu", "object", "full"})
Attack = Literal["fgsm", "pgd", "mim", "apgd", "noise", "blur", "fill", "swap", "explanation"]

MASK = "mask"
"""Panel of the help."""
IMAGES, DIFFERENCES = "images", "differences"
"""Values of `--store`."""
ROUNDING = 2e-7
"""Added to a share of eps, so that float32 does not round 7/10 of 10 levels to less than 7."""
_BOUNDED = frozenset({"norm", "eps", "object_eps"})
_LOSS = frozenset({"loss", "target_class"})
_ITERATED = _BOUNDED | {"steps", "random_start", "restarts", "init"}
ATTACK_OPTIONS: dict[str, frozenset[str]] = {
    "fgsm": _BOUNDED | _LOSS,
    "pgd": _ITERATED | _LOSS | {"alpha"},
    "mim": _ITERATED | _LOSS | {"alpha", "decay"},
    "apgd": _ITERATED | _LOSS,
    "noise": _BOUNDED,
    "blur": frozenset({"sigma"}),
    "fill": frozenset({"fill_color"}),
    "swap": frozenset(),
    "explanation": _ITERATED | {"alpha"},
}
"""Options that apply to each attack, in addition to those of the mask; a new attack needs a row."""


def inapplicable_options(attack: str) -> frozenset[str]:
    """Return the options that apply to other attacks, but not to this one."""
    applicable = ATTACK_OPTIONS.get(attack, frozenset())
    return frozenset[str]().union(*ATTACK_OPTIONS.values()) - applicable


class PerturbConfig(
    ModelOptions, DataOptions, CompileOptions, ArrayOptions, DeviceOptions, PartOptions
):
    """Options of `perturb`."""

    PANEL = "attack"

    split: Split = split_option("train")
    attack: Attack = option(
        "pgd",
        "Attack; noise, blur, fill and swap (the background of another image) use no gradient. "
        "See docs/method.md.",
        main=True,
    )
    norm: Literal["linf", "l2"] = option("linf", "Norm of the ball; l2 needs its own --eps.")
    eps: Positive | Literal["auto"] = option(
        16 / 255,
        "Radius of the ball in pixel units, e.g. 8/255; or auto, the radius at which half of the "
        "correct predictions change; not for blur, fill and swap. The default suits digits; for "
        "photographs use auto.",
        main=True,
        metavar=f"{RADIUS}|auto",
    )
    object_eps: Number | None = option(
        None,
        "Radius of the ball outside the background; at most eps. Default: 0.",
        ge=0,
        metavar=RADIUS,
    )
    alpha: Number | None = option(
        None, "Step size. Default: 2.5 eps / steps; mim: eps / steps.", gt=0, metavar=RADIUS
    )
    steps: int | None = option(None, "Number of steps. Default: 2 with --init, 5 without.", ge=0)
    random_start: bool | None = option(
        None, "Start at a random point of the ball. Default: yes for pgd, apgd and explanation."
    )
    restarts: int = option(1, "Starts; each sample keeps the result with the maximum loss.", ge=1)
    init: Path | None = option(
        None,
        "Perturbed samples of an earlier round to start from (warm start).",
        keyed=False,
        role="input",
    )
    loss: Literal["auto", "ce", "bce", "margin", "dlr", "scaled-ce", "scaled-bce"] = option(
        "auto", "Loss to maximize; auto is scaled-ce, and scaled-bce for multi-label data."
    )
    target_class: Literal["least-likely", "second", "random"] | None = option(
        None, "Target class of the attack. Default: untargeted."
    )
    decay: Number = option(1.0, "mim: decay factor of the momentum.", ge=0)
    sigma: Number | None = option(
        None, "blur: standard deviation in pixels. Default: 1/16 of the height.", gt=0
    )
    fill_color: Channels | None = option(
        None, "fill: colour in [0, 1]. Default: the mean of the background.", metavar=RGB
    )
    mask: MaskRule = option("quantile", "Rule that selects the background.", main=True)
    mask_level: Number = option(
        0.5,
        "Level of the mask rule: quantile, fraction of the maximum, or threshold.",
        ge=0,
        panel=MASK,
    )
    mask_smooth: Number = option(
        0.0,
        "Standard deviation of a Gaussian that smooths heatmaps before the rule, as a share of the "
        "height.",
        ge=0,
        le=1,
        panel=MASK,
    )
    dilate: int = option(
        0, "Pixels by which the object is dilated in every direction.", ge=0, panel=MASK
    )
    soft: int = option(
        0, "Pixels over which eps increases from 0 at the object's edge.", ge=0, panel=MASK
    )
    seed: int = option(0, "Seed of random starts, target classes, noise and other images.", ge=0)
    store: Literal["images", "differences"] = option(
        IMAGES,
        "Perturbed images as they are, or as differences to the images of the data set: a fifth of "
        "the size, and readers need the data set.",
        panel="output",
    )
    heatmaps: Path | None = option(
        None,
        "Heatmaps artifact to write in the same pass, equal to that of `explain --samples`.",
        keyed=False,
        panel="output",
        role="arrays",
    )

    @property
    def radius(self) -> float:
        """Return eps as a number.

        Raises:
            ValueError: It is auto, which `perturb` replaces before the attack.
        """
        return float(self.eps)

    @property
    def object_share(self) -> float:
        """Return the radius on the object as a share of eps."""
        share = (self.object_eps or 0.0) / self.radius
        return min(1.0, share * (1 + ROUNDING))

    def keyed(self) -> dict[str, Any]:
        """Return the options that can change the result.

        Without options of later versions that have no effect, so that earlier keys stay valid.
        """
        keyed = super().keyed()
        for name in ("object_eps", "mask_smooth"):
            if not keyed[name]:
                del keyed[name]
        if self.store == IMAGES:
            del keyed["store"]
        return keyed

    @model_validator(mode="after")
    def _check(self) -> PerturbConfig:
        """Reject options that do not apply to the attack or the mask, and invalid radii.

        Raises:
            UsageError: The first such option.
        """
        self._check_attack()
        self._check_ball()
        self._check_mask()
        return self

    def _check_attack(self) -> None:
        for name in sorted(inapplicable_options(self.attack)):
            if self._is_given(name):
                attacks = [a for a, options in ATTACK_OPTIONS.items() if name in options]
                raise _misfit(
                    name,
                    f"an attack that it applies to ({', '.join(attacks)})",
                    f"--attack {self.attack}",
                    "leave it out",
                )

    def _check_ball(self) -> None:
        if self.norm == "l2" and not self._is_given("eps"):
            raise _misfit("eps", "a radius in the l2 norm", "none", "give one, such as --eps 1")
        for name in ("eps", "alpha"):
            value = getattr(self, name)
            if self.norm == "linf" and isinstance(value, float) and value > 1:
                expected = "less than or equal to 1"
                raise _misfit(name, expected, f"{value:g}", "use pixel units, e.g. 8/255")
        self._check_grid()
        self._check_object()
        if self.fill_color is not None and not all(0 <= c <= 1 for c in self.fill_color):
            got = ",".join(f"{c:g}" for c in self.fill_color)
            raise _misfit("fill_color", "three numbers in [0, 1]", got, "divide grey levels by 255")
        if self.attack == "explanation" and self.random_start is False and self.init is None:
            expected = "a random start, because the clean image has no gradient"
            raise _misfit("no_random_start", expected, "the clean image", "leave it out")

    def _check_grid(self) -> None:
        """Reject a ball whose only point on the uint8 grid is the clean image."""
        if self.eps == "auto":
            if self.attack == "explanation":
                expected = "an attack on the prediction, by which the radius is chosen"
                raise _misfit("eps", expected, "--attack explanation", "give a radius")
        elif "eps" in ATTACK_OPTIONS[self.attack] and whole_levels(self.eps) < 1:
            expected = "at least one grey level, 1/255, because images are stored as uint8"
            raise _misfit("eps", expected, format_eps(self.eps), "increase the radius")

    def _check_object(self) -> None:
        """Reject a radius on the object that is not a share of eps."""
        if self.object_eps is None:
            return
        if self.eps == "auto":
            expected = "a number as --eps, which it is a share of"
            raise _misfit("object_eps", expected, "--eps auto", "give --eps a radius")
        if self.object_eps > self.radius:
            expected = f"at most --eps {format_eps(self.radius)}"
            got = format_eps(self.object_eps)
            raise _misfit(
                "object_eps", expected, got, "exchange the radii, and give --mask inverse"
            )

    def _check_mask(self) -> None:
        if self.mask in LEVELLESS_MASKS and self._is_given("mask_level"):
            expected = "a mask rule with a level"
            raise _misfit("mask_level", expected, f"--mask {self.mask}", "leave it out")
        if self.mask in MAPLESS_MASKS and self.mask_smooth:
            expected = "a mask rule that uses heatmaps"
            raise _misfit("mask_smooth", expected, f"--mask {self.mask}", "leave it out")
        if self.mask == "threshold" and not self._is_given("mask_level"):
            expected = "a level on the scale of the heatmaps"
            raise _misfit("mask_level", expected, "none", "give one, or choose --mask fraction")
        if self.mask != "threshold" and self.mask_level > 1:
            expected, got = "less than or equal to 1", f"{self.mask_level:g}"
            raise _misfit("mask_level", expected, got, "give a number in [0, 1]")

    def _is_given(self, name: str) -> bool:
        """Return whether an option was set to a value other than None."""
        return name in self.model_fields_set and getattr(self, name) is not None


def _misfit(name: str, expected: str, got: str, fix: str) -> UsageError:
    """Return the error for an option that conflicts with the others."""
    return UsageError("--" + name.replace("_", "-"), expected=expected, got=got, fix=fix)
