"""How heatmaps are made: the methods by name, and what they can be told."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated, Literal

from pydantic import AfterValidator

from ectool.options import Number, Options, option

METHODS = (
    "gradcam",
    "gradcam++",
    "xgradcam",
    "hirescam",
    "layercam",
    "gradcam-elementwise",
    "eigencam",
    "eigengradcam",
    "cam",
    "ablationcam",
    "scorecam",
    "excitation-backprop",
    "fullgrad",
    "input-x-gradient",
    "integrated-gradients",
    "smoothgrad",
    "guided-backprop",
    "occlusion",
    "rise",
    "attention-rollout",
    "transformer-relevance",
)
METHOD_GROUP = "ectool.explainers"
"""Entry points under which installed packages offer further methods."""


def check_method(name: str) -> str:
    """Refuse a method that neither ectool nor an installed package has.

    Raises:
        ValueError: What was expected.
    """
    if name in METHODS or entry_points(group=METHOD_GROUP, name=name):
        return name
    raise ValueError(f"one of {', '.join(METHODS)}, or an entry point of {METHOD_GROUP}")


class HeatmapOptions(Options):
    """How heatmaps are made."""

    method: Annotated[str, AfterValidator(check_method)] = option(
        "gradcam",
        f"{', '.join(METHODS)}, or one that an installed package offers; see docs/explainers.md.",
    )
    compat: Literal["pytorch-grad-cam"] | None = option(
        None, "Compute what another program does where it differs from the paper: gradcam++."
    )
    fuse: Literal["mean", "max"] = option("mean", "How heatmaps of several --layer become one.")
    smooth: Literal["aug", "eigen"] | None = option(
        None, "Average over six changes of the image, or keep the first principal component."
    )
    passes: int | None = option(
        None,
        "integrated-gradients: path steps; smoothgrad: noisy copies; rise: masks.",
        ge=1,
    )
    noise: Number | None = option(
        None, "smoothgrad: standard deviation of the noise, as a share of the range.", ge=0
    )
    window: int | None = option(None, "occlusion: side of the window in pixels.", ge=1)
    stride: int | None = option(None, "occlusion: step of the window in pixels.", ge=1)
    draw_seed: int = option(0, "rise, smoothgrad: seed of the masks or the noise.", ge=0)
    precision: Literal["fp32", "bf16"] = option(
        "fp32", "Arithmetic of the network; perturb uses it for the attack's steps alone."
    )
