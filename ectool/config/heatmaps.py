"""Options of heatmaps, and the names of the methods."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from ectool.errors import UsageError
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
"""Names of the methods, in the order of the help and of `ectool.explainers.EXPLAINERS`.

A new explainer needs a name here: options are checked without importing torch. A test compares.
"""
Precision = Literal["fp32", "bf16"]
Compilation = Literal["none", "default", "cuda-graphs"]
AUTO = "auto"
"""Value of `precision` that each stage replaces by fp32 or bf16."""
METHOD_GROUP = "ectool.explainers"
"""Group of entry points through which installed packages provide further methods."""


def check_method(name: str) -> str:
    """Reject a method that neither ectool nor an installed package provides.

    Raises:
        ValueError: There is no such method.
    """
    if name in METHODS or entry_points(group=METHOD_GROUP, name=name):
        return name
    raise ValueError(f"one of {', '.join(METHODS)}, or an entry point of {METHOD_GROUP}")


COMPILABLE = (
    *("gradcam", "gradcam++", "xgradcam", "hirescam", "layercam", "gradcam-elementwise"),
    *("eigencam", "eigengradcam", "cam", "scorecam", "input-x-gradient", "integrated-gradients"),
    *("smoothgrad", "occlusion", "rise"),
)
"""Methods of which `EXPLAINERS` says so, which cannot be imported here without torch."""


class HeatmapOptions(Options):
    """Options of heatmaps."""

    PANEL = "heatmaps"

    method: Annotated[str, AfterValidator(check_method)] = option(
        "gradcam",
        f"{', '.join(METHODS)}, or a method of an installed package; see docs/explainers.md.",
        main=True,
        choices=METHODS,
    )
    compat: Literal["pytorch-grad-cam"] | None = option(
        None, "gradcam++: compute it as another program, where that differs from the paper."
    )
    fuse: Literal["mean", "max"] = option("mean", "Combines the heatmaps of several layers.")
    smooth: Literal["aug", "eigen"] | None = option(
        None, "aug: average over six changed images; eigen: keep the first principal component."
    )
    passes: int | None = option(
        None,
        "Number of path steps (integrated-gradients), noisy copies (smoothgrad) or masks (rise).",
        ge=1,
    )
    noise: Number | None = option(
        None, "smoothgrad: standard deviation of the noise, as a share of the image's range.", ge=0
    )
    window: int | None = option(None, "occlusion: side of the window in pixels.", ge=1)
    stride: int | None = option(None, "occlusion: stride of the window in pixels.", ge=1)
    draw_seed: int = option(0, "rise, smoothgrad: seed of the masks or the noise.", ge=0)
    precision: Literal["fp32", "bf16", "auto"] = option(
        "fp32",
        "Precision of the network; in perturb, of the attack's steps only. auto: bf16 where it is "
        "faster and agrees with fp32, else fp32.",
    )

    @property
    def decided_precision(self) -> Precision:
        """Return the precision to compute in.

        Raises:
            ValueError: It is auto, which every stage replaces before it computes.
        """
        if self.precision == "auto":
            raise ValueError("--precision auto: expected a decision")
        return self.precision


class CompileOptions(HeatmapOptions):
    """Heatmaps of a stage that can compile the network."""

    PANEL = "machine"

    compile: Compilation = option(
        "none",
        "Compile parts of the network for a GPU by torch.compile; cuda-graphs also replays their "
        "kernels as a whole. Takes minutes at first. Results change by rounding.",
    )

    def keyed(self) -> dict[str, Any]:
        """Return the options that can change the result; earlier versions compiled nothing."""
        keyed = super().keyed()
        if self.compile == "none":
            del keyed["compile"]
        return keyed

    @model_validator(mode="after")
    def _check_compile(self) -> CompileOptions:
        """Refuse methods that look into the parts of a network.

        Raises:
            UsageError: The method does.
        """
        if self.compile != "none" and self.method not in COMPILABLE:
            raise UsageError(
                "--compile",
                expected=f"none for --method {self.method}, which looks at many layers",
                got=self.compile,
                fix="leave it out, or choose another --method",
            )
        return self
