"""Options of `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ectool.config.evaluation_attacks import EVALUATION_ATTACKS, attacks_help
from ectool.config.groups import DataOptions, DeviceOptions, MapOptions, ModelOptions
from ectool.config.heatmaps import HeatmapOptions, check_method
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
)
"""Groups of metrics, each of which can be measured without the others."""
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
"""Kinds of the corruption error: those of ImageNet-C that need no photographs."""
CORRUPTIONS = (*BENCHMARK_CORRUPTIONS, "speckle_noise", "gaussian_blur", "spatter", "saturate")


def check_suites(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what is no suite, and none at all; order and repetition mean nothing.

    Raises:
        ValueError: What was expected.
    """
    if not names or not set(names) <= set(SUITES):
        raise ValueError(f"one or more of {', '.join(SUITES)}")
    return tuple(name for name in SUITES if name in names)


def each_of(known: tuple[str, ...]) -> AfterValidator:
    """Return what refuses names that are not known, and drops repetitions."""

    def check(names: tuple[str, ...]) -> tuple[str, ...]:
        if not set(names) <= set(known):
            raise ValueError(f"any of {', '.join(known)}")
        return tuple(dict.fromkeys(names))

    return AfterValidator(check)


def check_methods(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse names of no explainer, and drop repetitions.

    Raises:
        ValueError: What was expected.
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


class EvaluateConfig(ModelOptions, DataOptions, HeatmapOptions, MapOptions, DeviceOptions):
    """Options of `evaluate`."""

    model: str = option("", "Model, as for `explain`; or several by --models.", keyed=False)
    models: TextList = option(
        (),
        "Models, each evaluated on its own: folders, patterns such as 'runs/*/model', and lists "
        "(.toml, .csv) of names, architectures and checkpoints.",
        keyed=False,
    )
    split: str = option("test", "Split of the data set.")
    suite: Suites = option(SUITES, f"What is measured, any of {', '.join(SUITES)}.")
    attacks: Attacks = option(
        ("fgsm", "pgd", "background", "apgd-ce"), f"robustness: any of {attacks_help()}."
    )
    eps: RadiusList = option((2 / 255, 8 / 255), "robustness: radii in the L-inf norm.")
    eps_l2: Distances = option((0.5,), "robustness: radii in the L2 norm.")
    steps: int = option(20, "robustness: steps of the attacks that take several.", ge=1)
    restarts: int = option(
        1, "robustness: starts; what one of them changed is not tried again.", ge=1
    )
    corruptions: Corruptions = option(
        BENCHMARK_CORRUPTIONS, "robustness: common corruptions, each at five severities."
    )
    corruption_baseline: Path | None = option(
        None, "robustness: evaluation of the model that mCE compares with.", keyed=False
    )
    replaced: Shares = option(
        (0.25, 0.5, 0.75, 1.0), "debiasing: shares of the background that are replaced."
    )
    challenge: bool = option(
        False,
        "debiasing: paste every object on every background (only_bg_t); costs their product.",
    )
    validation_split: str = option(
        "validation", "localization: split on which the threshold of boxes is tuned."
    )
    explainers: Methods = option(
        ("gradcam++", "layercam"), "stability: methods that --method is compared with."
    )
    subset: int = option(
        500, "faithfulness, sanity, stability: most samples looked at, drawn by hash.", ge=1
    )
    draws: int = option(
        8,
        "sanity: draws of the random weights, each for its share of the samples; of two or more "
        "the interval tells how much the draw matters.",
        ge=1,
    )
    bootstrap: int = option(
        1000, "Draws behind intervals that have no formula: ECE, mAP, location instability.", ge=100
    )
    seed: int = option(0, "Seed of everything that is drawn, and of the bootstrap.", ge=0)
    require: TextList = option(
        (), "Bounds to meet, e.g. 'bg_gap<=10,robust@2/255>=30'; shares in percent.", keyed=False
    )

    @model_validator(mode="after")
    def _check(self) -> EvaluateConfig:
        """Refuse no model, and one beside several.

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
                expected="none beside --models",
                got=str(self.checkpoint),
                fix="give a list (.csv, .toml) with a column checkpoint",
            )
        return self
