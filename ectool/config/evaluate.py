"""Options of `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ectool.config.evaluation_attacks import EVALUATION_ATTACKS, attacks_help
from ectool.config.gates import GateOptions
from ectool.config.groups import (
    RADIUS,
    DataOptions,
    DeviceOptions,
    MapOptions,
    ModelOptions,
    RankOptions,
)
from ectool.config.heatmaps import METHODS, HeatmapOptions, check_method
from ectool.config.splits import Split, split_option
from ectool.errors import UsageError
from ectool.options import Number, RadiusList, TextList, option, parse_list

SUITES = (
    "classification",
    "debiasing",
    "robustness",
    "localization",
    "faithfulness",
    "sanity",
    "stability",
    "filters",
)
"""Groups of metrics, each of which can be computed without the others."""
DEFAULT_SUITES = tuple(name for name in SUITES if name != "filters")
"""Without `filters`, which describes the inside of a network, not its predictions or heatmaps."""
BENCHMARK_CORRUPTIONS = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
"""Corruptions of mCE: those of ImageNet-C that need no photographs."""
CORRUPTIONS = (*BENCHMARK_CORRUPTIONS, "speckle_noise", "gaussian_blur", "spatter", "saturate")

STATISTICS = "statistics"
"""Panel of the help."""


def check_suites(names: tuple[str, ...]) -> tuple[str, ...]:
    """Reject unknown suites, and an empty list; order and repetition do not matter.

    Raises:
        ValueError: A name is unknown.
    """
    if not names or not set(names) <= set(SUITES):
        raise ValueError(f"one or more of {', '.join(SUITES)}")
    return tuple(name for name in SUITES if name in names)


def each_of(known: tuple[str, ...]) -> AfterValidator:
    """Return a validator that rejects unknown names, and drops repetitions."""

    def check(names: tuple[str, ...]) -> tuple[str, ...]:
        if not set(names) <= set(known):
            raise ValueError(f"any of {', '.join(known)}")
        return tuple(dict.fromkeys(names))

    return AfterValidator(check)


def check_methods(names: tuple[str, ...]) -> tuple[str, ...]:
    """Reject unknown methods, and drop repetitions.

    Raises:
        ValueError: A name is unknown.
    """
    return tuple(dict.fromkeys(check_method(name) for name in names))


Suites = Annotated[TextList, AfterValidator(check_suites)]
Corruptions = Annotated[TextList, each_of(CORRUPTIONS)]
Methods = Annotated[TextList, AfterValidator(check_methods)]
Attacks = Annotated[TextList, each_of(tuple(EVALUATION_ATTACKS))]
Shares = Annotated[
    tuple[Annotated[Number, Field(gt=0, le=1)], ...],
    BeforeValidator(parse_list),
]
Distances = Annotated[tuple[Annotated[Number, Field(gt=0)], ...], BeforeValidator(parse_list)]


class EvaluateConfig(
    ModelOptions, DataOptions, HeatmapOptions, MapOptions, DeviceOptions, RankOptions, GateOptions
):
    """Options of `evaluate`."""

    PANEL = "robustness"

    model: str = option(
        "",
        "Model, as in `explain`. For several models use --models.",
        keyed=False,
        main=True,
        metavar="MODEL",
    )
    models: TextList = option(
        (),
        "Models to evaluate and compare: folders, patterns such as 'runs/*/model', and lists "
        "(.toml, .csv) of names, architectures and checkpoints.",
        keyed=False,
        main=True,
        metavar="PATH,...",
    )
    split: Split = split_option("test")
    suite: Suites = option(
        DEFAULT_SUITES,
        f"Suites of metrics: any of {', '.join(SUITES)}. Default: all but filters.",
        main=True,
        choices=SUITES,
    )
    attacks: Attacks = option(
        ("fgsm", "pgd", "background", "apgd-ce"),
        f"robustness: any of {attacks_help()}.",
        choices=tuple(EVALUATION_ATTACKS),
    )
    eps: RadiusList = option(
        (2 / 255, 8 / 255),
        "robustness: radii of the attacks in the L-inf norm.",
        metavar=f"{RADIUS},...",
    )
    eps_l2: Distances = option((0.5,), "robustness: radii of the attacks in the L2 norm.")
    steps: int = option(20, "robustness: number of steps of iterated attacks.", ge=1)
    restarts: int = option(
        1, "robustness: number of starts; misclassified images are not attacked again.", ge=1
    )
    corruptions: Corruptions = option(
        BENCHMARK_CORRUPTIONS,
        "robustness: common corruptions, each with five severities.",
        choices=CORRUPTIONS,
    )
    corruption_baseline: Path | None = option(
        None,
        "robustness: folder of an evaluation, the baseline of mCE.",
        keyed=False,
        role="input",
    )
    replaced: Shares = option(
        (0.25, 0.5, 0.75, 1.0),
        "debiasing: shares of the background to replace.",
        panel="debiasing",
    )
    challenge: bool = option(
        False,
        "debiasing: paste every object on every background (only_bg_t), a forward pass each.",
        panel="debiasing",
    )
    validation_split: Split = split_option(
        "validation",
        "localization: split for tuning the threshold of the boxes.",
        panel="explanations",
    )
    explainers: Methods = option(
        ("gradcam++", "layercam"),
        "stability: methods to compare with --method.",
        panel="explanations",
        choices=METHODS,
    )
    subset: int = option(
        500,
        "faithfulness, sanity, stability, filters: maximum number of samples, selected by a hash.",
        ge=1,
        panel="explanations",
    )
    curve_tolerance: Number | None = option(
        None,
        "faithfulness: tolerance of the area of insertion, deletion and pixel flipping, such as "
        "0.01; only points that may change it by more are predicted. Default: every point.",
        gt=0,
        lt=1,
        panel="explanations",
    )
    draws: int = option(
        8,
        "sanity: number of draws of random weights, each for a part of the samples; with two or "
        "more, the interval includes the variation between draws.",
        ge=1,
        panel="explanations",
    )
    bootstrap: int = option(
        1000,
        "Bootstrap draws for intervals without a formula: ECE, mAP, location instability.",
        ge=100,
        panel=STATISTICS,
    )
    seed: int = option(
        0, "Seed of all random numbers, including the bootstrap.", ge=0, panel=STATISTICS
    )
    baseline: Path | None = option(
        None,
        "Evaluation of the same images that bounds such as 'accuracy>=baseline-1' refer to.",
        panel="gates",
        keyed=False,
        role="input",
    )

    def keyed(self) -> dict[str, Any]:
        """Return the options that can change the result.

        Without an option of later versions that has no effect, so that earlier keys stay valid.
        """
        keyed = super().keyed()
        if self.curve_tolerance is None:
            del keyed["curve_tolerance"]
        return keyed

    @model_validator(mode="after")
    def _check(self) -> EvaluateConfig:
        """Require either one model, or several.

        Raises:
            UsageError: Both or none are given.
        """
        if bool(self.model) == bool(self.models):
            raise UsageError(
                "--model",
                expected="one model, or several by --models",
                got="both" if self.model else "none",
                fix="give one of the two",
            )
        if self.models and self.checkpoint is not None:
            raise UsageError(
                "--checkpoint",
                expected="none with --models",
                got=str(self.checkpoint),
                fix="give a list (.csv, .toml) with a column checkpoint",
            )
        return self
