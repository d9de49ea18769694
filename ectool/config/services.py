"""Options of experiments, and of the commands that serve the stages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ectool.config.groups import DeviceOptions, ForceOptions, MapOptions, ViewOptions
from ectool.options import Number, Options, argument, option

UNUSED = "Has no effect; earlier versions used it. Intervals are now computed by formula."


class ArmConfig(Options):
    """One arm of an experiment: how it weights samples, and what it changes in the stages."""

    reweight: Literal["uniform", "consistency"] = option("uniform", "Where weights come from.")
    samples: bool = option(True, "Whether a round's perturbed images are learned from as well.")
    perturb: dict[str, Any] = option({}, "Options of perturb that this arm changes.")
    explain: dict[str, Any] = option({}, "Options of explain that this arm changes.")
    score: dict[str, Any] = option({}, "Options of score that this arm changes.")


def check_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse negative seeds, and repeated ones, which would count as more evidence than they are.

    Raises:
        ValueError: What was expected.
    """
    if len(set(seeds)) != len(seeds) or not seeds or min(seeds) < 0:
        raise ValueError("one seed or more of at least 0, each once")
    return seeds


def check_arms(arms: dict[str, ArmConfig]) -> dict[str, ArmConfig]:
    """Refuse names that cannot be folders beside that of the shared warm-up.

    Raises:
        ValueError: What was expected.
    """
    if not arms or any(name in RESERVED_ARMS or "/" in name for name in arms):
        raise ValueError(f"one arm or more, named like a folder but not {WARMUP_FOLDER!r}")
    return arms


WARMUP_FOLDER = "warmup"
RESERVED_ARMS = ("", ".", "..", WARMUP_FOLDER)


class ExperimentConfig(Options):
    """The `[experiment]` table: what is compared, how often, on which schedule."""

    title: str = option("Experiment", "Title of the report.")
    seeds: Annotated[tuple[int, ...], AfterValidator(check_seeds)] = option(
        (0, 1, 2), "Seeds; every arm runs once with each."
    )
    warmup: Number = option(0.2, "Share of the epochs before the first round.", ge=0, lt=1)
    every: int = option(1, "Epochs between two rounds.", ge=1)
    arms: Annotated[dict[str, ArmConfig], AfterValidator(check_arms)] = option(
        ..., "Arms by name; the first is the reference."
    )


class RunConfig(ForceOptions, DeviceOptions):
    """Options of `run`."""

    file: Path = argument("Experiment file (TOML).")
    output: Path | None = option(
        None, "Folder to write; run/NAME, or run/NAME-miniature, unless given.", keyed=False
    )
    data: str | None = option(None, "Data set, in place of the file's.", keyed=False)
    miniature: bool = option(
        False,
        "Cut network, images and schedule down, to try the whole chain in a minute.",
        keyed=False,
    )
    report: bool = option(True, "Write report.html, report.json and strip.png.", keyed=False)


def several(value: object) -> object:
    """Return a single path as a tuple of one."""
    return (value,) if isinstance(value, str | Path) else value


Paths = Annotated[tuple[Path, ...], BeforeValidator(several), Field(min_length=1)]


class ReportConfig(Options):
    """Options of `report`."""

    paths: Paths = argument("Folders of experiments, evaluations or audits.")
    output: Path | None = option(
        None, "Report to write; report.html in the first folder unless given.", keyed=False
    )
    figures: Path | None = option(
        None, "Folder to write figures for papers to (PNG, SVG, PDF).", keyed=False
    )
    tables: Path | None = option(
        None, "Folder to write tables for papers to (LaTeX, Markdown).", keyed=False
    )


class CompareConfig(Options):
    """Options of `compare`."""

    a: Path = argument("Evaluation folder A, the reference.")
    b: Path = argument("Evaluation folder B, of another model on the same images.")
    bootstrap: int = option(10_000, UNUSED, ge=100)
    seed: int = option(0, UNUSED, ge=0)


class AgreeConfig(Options):
    """Options of `agree`."""

    a: Path = argument("Heatmaps artifact A.")
    b: Path = argument("Heatmaps artifact B, of the same images and classes.")
    bootstrap: int = option(10_000, UNUSED, ge=100)
    seed: int = option(0, UNUSED, ge=0)


class DataListConfig(Options):
    """Options of `data list`: none."""


class DataInfoConfig(ViewOptions):
    """Options of `data info`."""

    uri: str = argument("Data set: NAME or NAME:PATH.")


class DataCheckConfig(DataInfoConfig):
    """Options of `data check`."""


REMOVAL_BASELINES = ("random", "centre")
"""What can be removed instead of what heatmaps show, to compare with."""


class MaterializeConfig(ViewOptions, MapOptions):
    """Options of `data materialize`."""

    uri: str = argument("Data set: NAME or NAME:PATH.")
    split: str = option("train", "Split of the data set.")
    variant: str = option("original", "Background variant of the data set.")
    remove: str | None = option(
        None,
        "Heatmaps artifact, whose most relevant pixels are removed; or random, or centre.",
        keyed=False,
    )
    share: Number | None = option(
        None, "Share of the pixels that --remove gives the mean colour.", gt=0, le=1
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
