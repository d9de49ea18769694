"""Options of experiments, and of the commands that are not stages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ectool.config.gates import GateOptions
from ectool.config.groups import (
    DATA_SETS,
    DATA_URI,
    ArrayOptions,
    DeviceOptions,
    ForceOptions,
    ViewOptions,
)
from ectool.config.splits import Split, split_option
from ectool.config.trust import TrustOptions
from ectool.options import Number, Options, argument, option

UNUSED = "Has no effect; earlier versions used it. Intervals are now computed by formula."


class ArmConfig(Options):
    """One arm of an experiment: its sample weights, and its options of the stages."""

    reweight: Literal["uniform", "consistency"] = option(
        "uniform", "Sample weights: all 1, or from explanation consistency."
    )
    samples: bool = option(True, "Whether to train also on the perturbed images of each round.")
    train: dict[str, Any] = option(
        {}, "Options of train that differ in this arm, such as the objective."
    )
    perturb: dict[str, Any] = option({}, "Options of perturb that differ in this arm.")
    explain: dict[str, Any] = option({}, "Options of explain that differ in this arm.")
    score: dict[str, Any] = option({}, "Options of score that differ in this arm.")


def check_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse negative seeds, and repeated ones, which would make intervals too narrow.

    Raises:
        ValueError: What was expected.
    """
    if len(set(seeds)) != len(seeds) or not seeds or min(seeds) < 0:
        raise ValueError("one or more different seeds, each at least 0")
    return seeds


def check_arms(arms: dict[str, ArmConfig]) -> dict[str, ArmConfig]:
    """Refuse names that cannot be folders next to that of the shared warm-up.

    Raises:
        ValueError: What was expected.
    """
    if not arms or any(name in RESERVED_ARMS or "/" in name for name in arms):
        raise ValueError(
            f"one or more arms, whose names are valid folder names other than {WARMUP_FOLDER!r}"
        )
    return arms


WARMUP_FOLDER = "warmup"
RESERVED_ARMS = ("", ".", "..", WARMUP_FOLDER)


class ExperimentConfig(Options):
    """The `[experiment]` table: arms, seeds and schedule."""

    title: str = option("Experiment", "Title of the report.")
    seeds: Annotated[tuple[int, ...], AfterValidator(check_seeds)] = option(
        (0, 1, 2), "Seeds; every arm runs once with each seed."
    )
    warmup: Number = option(0.2, "Share of the epochs before the first round.", ge=0, lt=1)
    every: int = option(1, "Epochs between two rounds.", ge=1)
    arms: Annotated[dict[str, ArmConfig], AfterValidator(check_arms)] = option(
        ..., "Arms by name; the first is the reference."
    )


EXPERIMENTS = ("ablation", "cub200", "digits", "imagenet9", "stl10", "voc2012")
"""Names of the experiment files that come with ectool."""


class RunConfig(ForceOptions, DeviceOptions, TrustOptions):
    """Options of `run`."""

    file: Path = argument(
        f"Experiment file (TOML), or the name of a shipped one: {', '.join(EXPERIMENTS)}.",
        choices=EXPERIMENTS,
    )
    output: Path | None = option(
        None,
        "Folder to write. Default: run/NAME, or run/NAME-miniature.",
        keyed=False,
        role="output",
    )
    data: str | None = option(
        None,
        "Data set to use instead of that of the file.",
        keyed=False,
        metavar=DATA_URI,
        choices=DATA_SETS,
    )
    miniature: bool = option(
        False,
        "Use a small network, few images and few epochs: the whole chain in a minute.",
        keyed=False,
    )
    processes: int = option(
        1,
        "Processes that train and evaluate arms and seeds at the same time; they share the cores.",
        ge=1,
        keyed=False,
    )
    report: bool = option(True, "Write report.html, report.json and strip.png.", keyed=False)


def several(value: object) -> object:
    """Return a single path as a tuple of one."""
    return (value,) if isinstance(value, str | Path) else value


Paths = Annotated[tuple[Path, ...], BeforeValidator(several), Field(min_length=1)]


class ReportConfig(Options):
    """Options of `report`."""

    paths: Paths = argument("Folders of experiments, evaluations or audits.", role="input")
    output: Path | None = option(
        None,
        "Report to write. Default: report.html in the first folder.",
        keyed=False,
        role="output",
    )
    figures: Path | None = option(
        None, "Folder for figures for papers (PNG, SVG, PDF).", keyed=False, role="output"
    )
    tables: Path | None = option(
        None, "Folder for tables for papers (LaTeX, Markdown).", keyed=False, role="output"
    )


class CompareConfig(GateOptions):
    """Options of `compare`."""

    a: Path = argument(
        "Evaluation folder A, the reference and the baseline of bounds.", role="input"
    )
    b: Path = argument("Evaluation folder B, of another model on the same images.", role="input")
    bootstrap: int = option(10_000, UNUSED, ge=100)
    seed: int = option(0, UNUSED, ge=0)


class AgreeConfig(Options):
    """Options of `agree`."""

    a: Path = argument("Heatmaps artifact A.", role="input")
    b: Path = argument("Heatmaps artifact B, of the same images and classes.", role="input")
    bootstrap: int = option(10_000, UNUSED, ge=100)
    seed: int = option(0, UNUSED, ge=0)


class DataListConfig(Options):
    """Options of `data list`: none."""


class DataInfoConfig(ViewOptions):
    """Options of `data info`."""

    uri: str = argument("Data set, as NAME or NAME:PATH.", choices=DATA_SETS)


class DataCheckConfig(DataInfoConfig):
    """Options of `data check`."""


REMOVAL_BASELINES = ("random", "centre")
"""Pixels to remove instead of the most relevant ones, for comparison."""


class MaterializeConfig(ViewOptions, ArrayOptions):
    """Options of `data materialize`."""

    uri: str = argument("Data set, as NAME or NAME:PATH.", choices=DATA_SETS)
    split: Split = split_option("train")
    variant: str = option("original", "Background variant of the data set.")
    remove: str | None = option(
        None,
        "Heatmaps artifact, whose most relevant pixels are removed; or random or centre.",
        keyed=False,
        metavar="|".join(["PATH", *REMOVAL_BASELINES]),
        choices=REMOVAL_BASELINES,
    )
    share: Number | None = option(
        None, "Share of the pixels that --remove replaces with the mean colour.", gt=0, le=1
    )


class InspectConfig(Options):
    """Options of `inspect`."""

    artifact: Path = argument("Artifact of any kind.", role="input")
    verify: bool = option(
        False, "Read all data and compare them with the stored digests.", keyed=False
    )


class VerifyConfig(Options):
    """Options of `verify`."""

    paths: Paths = argument("Artifacts of any kind, or folders with artifacts.", role="input")
    repair: bool = option(
        False,
        "Repair from copies and from what is intact; what is replaced is moved aside. For the "
        "rest, the command is named that computes it again.",
        keyed=False,
    )


class ConvertConfig(ForceOptions):
    """Options of `convert`."""

    source: Path = argument("Artifact to read (.zarr or .h5).", role="input")
    target: Path = argument("Artifact to write (.zarr or .h5).", role="arrays")
    store: Literal["images", "differences"] | None = option(
        None,
        "Of samples: write perturbed images as they are, or as differences to the images of the "
        "data set, as `perturb --store`. Default: as in the source.",
    )


class MergeConfig(ForceOptions):
    """Options of `merge`."""

    paths: Paths = argument("Outputs of jobs with --shard, or their unfinished folders.")


class DoctorConfig(Options):
    """Options of `doctor`: none."""
