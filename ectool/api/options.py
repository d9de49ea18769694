"""Options of the functions: those of the commands by name, checked by the same models.

The classes here give type checkers the names and types of the options. Defaults, bounds and
meaning are in `ectool.config`; tests compare both.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypedDict, TypeVar

from ectool.errors import EctoolError, UsageError, nearest
from ectool.options import Options
from ectool.settings import validate

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Config = TypeVar("Config", bound=Options)

_HELP = re.compile(r"see `ectool [a-z ]+ --help`")
_FLAG = re.compile(r"--([a-z][a-z0-9-]*[a-z0-9])")


class MethodOptions(TypedDict, total=False):
    """Options of heatmaps; see `ectool explain --help`."""

    compat: Literal["pytorch-grad-cam"] | None
    fuse: Literal["mean", "max"]
    smooth: Literal["aug", "eigen"] | None
    passes: int | None
    noise: float | None
    window: int | None
    stride: int | None
    draw_seed: int
    precision: Literal["fp32", "bf16", "auto"]


class AttackOptions(MethodOptions, total=False):
    """Options of attacks and background masks; see `ectool perturb --help`."""

    attack: Literal["fgsm", "pgd", "mim", "apgd", "noise", "blur", "fill", "swap", "explanation"]
    norm: Literal["linf", "l2"]
    eps: float | str
    object_eps: float | str | None
    alpha: float | str | None
    steps: int | None
    random_start: bool | None
    restarts: int
    loss: Literal["auto", "ce", "bce", "margin", "dlr", "scaled-ce", "scaled-bce"]
    target_class: Literal["least-likely", "second", "random"] | None
    decay: float
    sigma: float | None
    fill_color: tuple[float, float, float] | None
    mask: Literal["quantile", "fraction", "threshold", "otsu", "object", "inverse", "full"]
    mask_level: float
    mask_smooth: float
    dilate: int
    soft: int


class EvaluationOptions(MethodOptions, total=False):
    """Options of evaluations and of data sets; see `ectool evaluate --help`."""

    method: str
    attacks: Sequence[str]
    eps: Sequence[float | str]
    eps_l2: Sequence[float]
    steps: int
    restarts: int
    corruptions: Sequence[str]
    corruption_baseline: str | PathLike[str] | None
    replaced: Sequence[float]
    challenge: bool
    validation_split: str
    explainers: Sequence[str]
    subset: int
    curve_tolerance: float | None
    draws: int
    bootstrap: int
    seed: int
    classes_by_position: bool
    size: int
    view: Literal["crop", "squash"]
    fraction: float
    limit: int | None
    fold: int | None
    rho: float
    data_seed: int
    class_order: Literal["natural", "text"] | None
    max_pixels: int


class WeightOptions(TypedDict, total=False):
    """Options of weights; see `ectool score --help`."""

    gamma: float
    momentum: float
    cap: float
    floor: float


def configured(
    model: type[Config], stage: str, options: Mapping[str, Any], known: type, /, **fixed: object
) -> Config:
    """Return the configuration of a stage with some of its options.

    Args:
        model: Configuration model of the stage.
        stage: Name of the stage, for messages.
        options: Options of the user.
        known: The class above whose options are allowed.
        fixed: Further fields.

    Raises:
        UsageError: An option is unknown, out of bounds, or does not apply.
    """
    names = sorted(getattr(known, "__annotations__", ()))
    for name in options:
        if name not in names:
            near = nearest(name, names)
            raise UsageError(
                f"option {name}",
                expected=f"one of {', '.join(names)}",
                got=repr(name),
                fix=f"use {near}" if near else "leave it out",
            )
    # Paths are required by the stages that write files; nothing is written here.
    paths = {name: Path() for name in ("output", "heatmaps") if _is_required(model, name)}
    return validate(model, {**paths, **fixed, **options}, stage)


def _is_required(model: type[Options], name: str) -> bool:
    return name in model.model_fields and model.model_fields[name].is_required()


def named_as_arguments(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make errors of a function name its arguments in place of flags: `mask_level`."""

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except EctoolError as error:
            raise _renamed(error) from error.__cause__

    return call


def _renamed(error: EctoolError) -> EctoolError:
    parts = {part: _as_argument(getattr(error, part)) for part in ("expected", "got", "fix")}
    return type(error)(_as_argument(error.subject), **parts)


def _as_argument(text: str) -> str:
    return _FLAG.sub(lambda flag: flag[1].replace("-", "_"), _HELP.sub("see docs/api.md", text))
