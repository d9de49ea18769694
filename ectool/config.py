"""One frozen configuration model per stage: the single source of flags, keys, defaults and help.

A field's default, bounds and description are written once, here. The command line makes its
flags from them, TOML files and environment variables are checked against them, and the fields
that can change a result (`keyed`) enter the artifact's key.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from ectool.errors import InputError, UsageError

MAX_PIXEL = 255


def parse_number(value: object) -> object:
    """Return the number that a string such as ``8/255`` stands for; other values unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return float(Fraction(value.strip()))
    except (ValueError, ZeroDivisionError):
        return value


def parse_list(value: object) -> object:
    """Split a comma-separated string; other values unchanged."""
    return tuple(value.split(",")) if isinstance(value, str) else value


def format_eps(eps: float) -> str:
    """Write a radius the way papers do, ``8/255``, where it is a whole number of grey levels."""
    levels = eps * MAX_PIXEL
    whole = abs(levels - round(levels)) < 1e-6  # far below one grey level
    return f"{round(levels)}/{MAX_PIXEL}" if whole else f"{eps:g}"


Number = Annotated[float, BeforeValidator(parse_number)]
NumberList = Annotated[tuple[Number, ...], BeforeValidator(parse_list)]
TextList = Annotated[tuple[str, ...], BeforeValidator(parse_list)]


def option(default: Any, help: str, *, keyed: bool = True, **bounds: Any) -> Any:  # noqa: ANN401
    """Declare an option.

    Args:
        default: Its default; `...` where it must be given.
        help: What it means, as the help shows it.
        keyed: Whether it can change the stage's result and so belongs to the artifact's key.
        bounds: Bounds as pydantic spells them (`ge`, `gt`, `le`, `lt`).
    """
    return Field(default, description=help, json_schema_extra={"keyed": keyed}, **bounds)


def argument(help: str, default: Any = ...) -> Any:  # noqa: ANN401
    """Declare an input or output that is named by position, not by a flag."""
    return Field(default, description=help, json_schema_extra={"keyed": False, "argument": True})


class Options(BaseModel):
    """A group of options: frozen, without unknown names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    def keyed(self) -> dict[str, Any]:
        """Return the options that can change the result, as plain JSON values."""
        names = {name for name in type(self).model_fields if is_keyed(type(self), name)}
        return self.model_dump(mode="json", include=names)


def is_keyed(model: type[BaseModel], name: str) -> bool:
    """Tell whether a field enters the artifact's key."""
    return _extra(model, name, "keyed", default=True)


def is_argument(model: type[BaseModel], name: str) -> bool:
    """Tell whether a field is named by position on the command line."""
    return _extra(model, name, "argument", default=False)


def _extra(model: type[BaseModel], name: str, key: str, *, default: bool) -> bool:
    extra = model.model_fields[name].json_schema_extra
    return bool(extra.get(key, default)) if isinstance(extra, dict) else default


class ForceOptions(Options):
    """What a stage does when its output is there already."""

    force: bool = option(
        False, "Move an existing output with another key aside and write anew.", keyed=False
    )


class OutputOptions(ForceOptions):
    """Where a stage writes."""

    output: Path = option(..., "Artifact to write.", keyed=False)


class DeviceOptions(Options):
    """Where the arithmetic runs."""

    device: str = option("auto", "cpu, cuda, cuda:1, mps, or auto for the best one.", keyed=False)
    threads: int = option(0, "CPU threads of the arithmetic; 0 for all cores.", ge=0, keyed=False)


class DataOptions(Options):
    """Which pictures a stage reads."""

    # Not keyed: it may hold a path, and the data's fingerprint says more.
    data: str = option("digits", "Data set: NAME or NAME:PATH.", keyed=False)
    size: int = option(224, "Side of the square view of pictures of many sizes.", ge=8)
    rho: Number = option(
        0.5, "digits: share of pictures whose background family equals the class.", ge=0, le=1
    )
    data_seed: int = option(0, "Seed of everything drawn while a data set is made.", ge=0)


class ModelOptions(Options):
    """Which model a stage runs."""

    model: str = option(
        ..., "Model artifact (folder), or architecture with --checkpoint.", keyed=False
    )
    checkpoint: Path | None = option(
        None, "Foreign state dict (.pth, .pt, .safetensors) for an architecture.", keyed=False
    )
    classes: int | None = option(None, "Number of classes of the checkpoint.", ge=2, keyed=False)
    layer: str | None = option(None, "Target layer; found automatically unless given.")


class ShardOptions(ForceOptions):
    """How array artifacts are written."""

    shard_size: int = option(256, "Samples per shard, the unit of writing and resuming.", ge=1)
    resume: bool = option(
        False, "Check every shard of an existing output and compute damaged ones.", keyed=False
    )


class MapOptions(ShardOptions, OutputOptions, DeviceOptions):
    """What stages that go over a data set shard by shard have in common."""

    batch_size: int = option(64, "Samples per forward pass.", ge=1, keyed=False)


MaskRule = Literal["quantile", "fraction", "otsu", "object", "inverse", "full"]


class PerturbConfig(ModelOptions, DataOptions, MapOptions):
    """Options of `perturb`."""

    split: str = option("train", "Split of the data set.")
    attack: Literal["pgd"] = option("pgd", "Attack.")
    norm: Literal["linf"] = option("linf", "Norm of the ball.")
    eps: Number = option(16 / 255, "Radius of the ball in pixel units, e.g. 8/255.", gt=0, le=1)
    alpha: Number | None = option(None, "Step size; 2.5 eps / steps unless given.", gt=0, le=1)
    steps: int | None = option(None, "Steps; 2 with --init, 5 without, unless given.", ge=0)
    random_start: bool = option(True, "Start at a random point of the ball.")
    init: Path | None = option(
        None, "Samples of an earlier round to start from (warm start).", keyed=False
    )
    mask: MaskRule = option("quantile", "What counts as background.")
    mask_level: Number = option(
        0.5, "Quantile, or fraction of the maximum, of the mask rule.", ge=0, le=1
    )
    method: Literal["gradcam"] = option("gradcam", "Heatmap that the mask is made of.")
    seed: int = option(0, "Seed of the random start.", ge=0)


class ExplainConfig(ModelOptions, MapOptions):
    """Options of `explain`."""

    samples: Path | None = option(None, "Samples artifact: explain both of each pair.", keyed=False)
    data: str | None = option(None, "Data set; the one of --samples unless given.", keyed=False)
    split: str | None = option(None, "Split; the one of --samples, or train.")
    size: int | None = option(None, "Side of the square view of pictures of many sizes.", ge=8)
    rho: Number | None = option(None, "digits: share of biased backgrounds.", ge=0, le=1)
    data_seed: int | None = option(None, "Seed of everything drawn with the data.", ge=0)
    method: Literal["gradcam"] = option("gradcam", "Explanation method.")
    targets: Literal["label", "prediction"] = option("label", "Class that is explained.")

    def data_options(self, source: DataOptions) -> DataOptions:
        """Return which data to read: what was given here, else what `source` says."""
        names = DataOptions.model_fields
        given = {n: value for n in names if (value := getattr(self, n)) is not None}
        return source.model_copy(update=given)


class ScoreConfig(ShardOptions):
    """Options of `score`."""

    heatmaps: Path = option(..., "Heatmaps artifact with clean and adversarial maps.", keyed=False)
    output: Path | None = option(
        None, "Weights artifact; beside the heatmaps unless given.", keyed=False
    )
    previous: Path | None = option(None, "Weights of the last round, for momentum.", keyed=False)
    similarity: Literal["cosine", "pearson", "ssim", "top-iou"] = option(
        "cosine", "Heatmap similarity s_H."
    )
    stability: Literal["probability", "correct", "total-variation", "none"] = option(
        "probability", "Prediction stability s_P."
    )
    gamma: Number = option(1.0, "Sharpness of the weights (1 - E)^gamma.", ge=0)
    momentum: Number = option(0.0, "Share of the last round's weights.", ge=0, lt=1)
    cap: Number = option(10.0, "Largest weight, where the mean is 1.", ge=1)
    floor: Number = option(
        0.5, "Smallest effective sample size, as a share of the samples.", ge=0, le=1
    )
    shard_size: int = option(65536, "Samples per shard of the weights artifact.", ge=1)


class TrainConfig(DataOptions, OutputOptions, DeviceOptions):
    """Options of `train`."""

    model: str = option("smallcnn", "Architecture to train.")
    layer: str | None = option(None, "Target layer; found automatically unless given.")
    epochs: int = option(30, "Length of the whole schedule.", ge=1)
    until_epoch: int | None = option(None, "Epoch to stop at; the last one unless given.", ge=1)
    resume: Path | None = option(None, "Model artifact to go on from.", keyed=False)
    weights: Path | None = option(None, "Weights artifact; 1 each unless given.", keyed=False)
    samples: Path | None = option(None, "Samples artifact to learn from as well.", keyed=False)
    mix: Number = option(
        0.5, "Share of the pictures that --samples replaces, drawn anew each epoch.", ge=0, le=1
    )
    optimizer: Literal["adamw", "sgd"] = option("sgd", "Optimizer; sgd has Nesterov momentum 0.9.")
    lr: Number = option(0.2, "Peak learning rate of the one-cycle schedule.", gt=0)
    weight_decay: Number = option(5e-4, "Weight decay.", ge=0)
    lr_warmup: Number = option(0.2, "Share of the steps in which the rate rises.", ge=0, lt=1)
    batch_size: int = option(32, "Samples per step.", ge=1)
    seed: int = option(0, "Seed of the initial weights and of the order.", ge=0)


class EvaluateConfig(ModelOptions, DataOptions, MapOptions):
    """Options of `evaluate`."""

    split: str = option("test", "Split of the data set.")
    eps: NumberList = option((2 / 255, 8 / 255), "Radii of the robustness attack.")
    steps: int = option(20, "Steps of the robustness attack.", ge=1)
    bootstrap: int = option(1000, "Bootstrap resamples behind each interval.", ge=100)
    seed: int = option(0, "Seed of random starts and of the bootstrap.", ge=0)
    require: TextList = option(
        (), "Bounds to meet, e.g. 'background_gap<=0.1,robust@2/255>=0.3'.", keyed=False
    )


class ArmConfig(Options):
    """One arm of an experiment: how it weights samples, and what it changes in the stages."""

    reweight: Literal["uniform", "consistency"] = option("uniform", "Where weights come from.")
    samples: bool = option(True, "Whether a round's perturbed pictures are learned from as well.")
    perturb: dict[str, Any] = option({}, "Options of perturb that this arm changes.")
    explain: dict[str, Any] = option({}, "Options of explain that this arm changes.")
    score: dict[str, Any] = option({}, "Options of score that this arm changes.")


class ExperimentConfig(Options):
    """The `[experiment]` table: what is compared, how often, on which schedule."""

    title: str = option("Experiment", "Title of the report.")
    seeds: tuple[int, ...] = option((0, 1, 2), "Seeds; every arm runs once with each.")
    warmup: Number = option(0.2, "Share of the epochs before the first round.", ge=0, lt=1)
    every: int = option(1, "Epochs between two rounds.", ge=1)
    arms: dict[str, ArmConfig] = option(..., "Arms by name; the first is the reference.")


class RunConfig(ForceOptions, DeviceOptions):
    """Options of `run`."""

    file: Path = argument("Experiment file (TOML).")
    output: Path | None = option(None, "Folder to write; run/NAME unless given.", keyed=False)
    report: bool = option(True, "Write report.html, report.json and strip.png.", keyed=False)


class ReportConfig(Options):
    """Options of `report`."""

    experiment: Path = argument("Folder that `ectool run` wrote.")
    output: Path | None = option(
        None, "Report to write; report.html in that folder unless given.", keyed=False
    )


class InspectConfig(Options):
    """Options of `inspect`."""

    artifact: Path = argument("Artifact of any kind.")
    verify: bool = option(False, "Read everything and compare it with the digests.", keyed=False)


class ConvertConfig(ForceOptions):
    """Options of `convert`."""

    source: Path = argument("Artifact to read (.zarr or .h5).")
    target: Path = argument("Artifact to write (.zarr or .h5).")


class DoctorConfig(Options):
    """Options of `doctor`: none."""


STAGES: dict[str, type[Options]] = {
    "perturb": PerturbConfig,
    "explain": ExplainConfig,
    "score": ScoreConfig,
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
}
SHARED_TABLE = "defaults"
EXPERIMENT_TABLE = "experiment"

Config = TypeVar("Config", bound=Options)


def resolve(
    model: type[Config],
    flags: Mapping[str, Any],
    *,
    stage: str,
    toml: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """Merge flag > environment > TOML > default into a checked configuration.

    Args:
        model: The stage's configuration model.
        flags: What the user gave on the command line; None stands for not given.
        stage: Name of the stage: its TOML table and its part of the variables' names.
        toml: TOML file with one table per stage and shared values under `[defaults]`.
        environ: Environment; `ECTOOL_<STAGE>_<OPTION>` sets an option.

    Raises:
        UsageError: Unknown name or value out of bounds, whatever it came from.
        InputError: The TOML file cannot be read.
    """
    values: dict[str, Any] = {}
    if toml is not None:
        values.update(stage_table(read_toml(toml), stage, toml))
    for name in model.model_fields:
        variable = f"ECTOOL_{stage}_{name}".upper()
        if variable in environ:
            values[name] = environ[variable]
    values.update({name: value for name, value in flags.items() if value is not None})
    return validate(model, values, stage)


def validate(model: type[Config], values: Mapping[str, Any], stage: str) -> Config:
    """Check values against a configuration model.

    Raises:
        UsageError: The first value that does not fit.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise _usage_error(error.errors()[0], stage, model) from None


def _usage_error(detail: ErrorDetails, stage: str, model: type[BaseModel]) -> UsageError:
    """Turn pydantic's first finding into one line."""
    name = str(detail["loc"][0]) if detail["loc"] else stage
    flag = "--" + name.replace("_", "-")
    if detail["type"] == "missing":
        return UsageError(flag, expected="a value", got="none", fix=f"see `ectool {stage} --help`")
    if detail["type"] == "extra_forbidden":
        known = ", ".join(model.model_fields)
        return UsageError(
            name, expected=f"one of {known}", got=repr(name), fix="correct or remove it"
        )
    expected = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return UsageError(
        flag, expected=expected, got=repr(detail["input"]), fix=f"see `ectool {stage} --help`"
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file whose tables are stages, `[defaults]` and `[experiment]`.

    Raises:
        InputError: The file is missing or not TOML.
        UsageError: It has a table that is none of those.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            str(path), expected="a TOML file", got=error.strerror or "no file", fix="check the path"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            str(path), expected="valid TOML", got=str(error), fix="correct the file"
        ) from None
    tables = (*STAGES, SHARED_TABLE, EXPERIMENT_TABLE)
    for name, value in document.items():
        if name not in tables or not isinstance(value, dict):
            raise UsageError(
                f"{path}: {name}",
                expected="a table named " + ", ".join(tables),
                got=f"[{name}]" if isinstance(value, dict) else f"{name} = {value!r}",
                fix="move it into one of these tables",
            )
    return document


def stage_table(document: Mapping[str, Any], stage: str, path: Path) -> dict[str, Any]:
    """Return what a TOML document says of one stage: `[defaults]` that apply, then its table.

    Raises:
        UsageError: `[defaults]` holds a name that no stage knows.
    """
    shared = document.get(SHARED_TABLE, {})
    known = {name for model in STAGES.values() for name in model.model_fields}
    for name in shared:
        if name not in known:
            raise UsageError(
                f"{path}: [{SHARED_TABLE}] {name}",
                expected="an option of some stage",
                got=repr(name),
                fix="correct or remove it",
            )
    fields = STAGES[stage].model_fields if stage in STAGES else {}
    applies = {name: value for name, value in shared.items() if name in fields}
    return {**applies, **document.get(stage, {})}
