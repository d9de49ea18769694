"""Options that several commands share, in groups that the help shows together."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from ectool.errors import UsageError
from ectool.options import Channels, Number, Options, TextList, misfit_of_channels, option


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


class ViewOptions(Options):
    """How a data set is opened."""

    size: int = option(224, "Side of the square view of images of many sizes.", ge=8)
    view: Literal["crop", "squash"] = option(
        "crop", "How images become squares: resize and crop the centre, or resize alone."
    )
    fraction: Number = option(
        1.0, "Share of the training images of every class that is used.", gt=0, le=1
    )
    limit: int | None = option(None, "Most images of any split, drawn by hash.", ge=1)
    fold: int | None = option(None, "stl10: predefined fold of the training images.", ge=0)
    rho: Number = option(
        0.5, "digits: share of images whose background family equals the class.", ge=0, le=1
    )
    data_seed: int = option(0, "Seed of everything drawn while a data set is made.", ge=0)
    class_order: Literal["natural", "text"] | None = option(
        None,
        "Order of the classes of folders and tables: by value (0, 1, 2, 10) or as text "
        "(0, 1, 10, 2). Default: text for folders, as torchvision; natural for tables.",
    )


class DataOptions(ViewOptions):
    """Which images a stage reads."""

    # Not keyed: it may hold a path, and the data's fingerprint says more.
    data: str = option("digits", "Data set: NAME or NAME:PATH.", keyed=False)


class CheckpointOptions(Options):
    """Which weights somebody else's network starts from."""

    checkpoint: Path | None = option(
        None, "Foreign weights (.pth, .pt, .ckpt, .safetensors) for an architecture.", keyed=False
    )
    entry: str | None = option(
        None, "What of the checkpoint to load: ema, or a dotted name; found unless given."
    )
    mean: Channels | None = option(
        None, "Mean of each channel of pixels in [0, 1]; that of the public weights unless given."
    )
    std: Channels | None = option(None, "What each channel is divided by; likewise.")

    @model_validator(mode="after")
    def _check_normalisation(self) -> CheckpointOptions:
        """Refuse a normalisation of other pixels than those in [0, 1].

        Raises:
            UsageError: The mean, or else the standard deviation, is out of bounds.
        """
        for name, values in {"mean": self.mean, "std": self.std}.items():
            misfit = None if values is None else misfit_of_channels(name, values)
            if misfit is not None:
                got = ",".join(f"{value:g}" for value in values or ())
                raise UsageError(f"--{name}", expected=misfit[0], got=got, fix=misfit[1])
        return self


class ModelOptions(CheckpointOptions):
    """Which model a stage runs."""

    model: str = option(
        ...,
        "Model artifact (folder); or architecture with --checkpoint: a name of torchvision, "
        "timm:NAME, import:package.module:factory; or torchscript:FILE, exported:FILE.",
        keyed=False,
    )
    classes: int | None = option(None, "Number of classes of the checkpoint.", ge=2, keyed=False)
    classes_by_position: bool = option(
        False, "Match the classes of model and data by their order where their names differ."
    )
    layer: TextList = option(
        (), "Target layer, or several whose heatmaps are fused; found automatically unless given."
    )


class ShardOptions(ForceOptions):
    """How array artifacts are written."""

    shard_size: int = option(256, "Samples per shard, the unit of writing and resuming.", ge=1)
    resume: bool = option(
        False, "Check every shard of an existing output and compute damaged ones.", keyed=False
    )


class MapOptions(ShardOptions, OutputOptions):
    """What stages that go over a data set shard by shard have in common."""

    batch_size: int = option(64, "Samples that are read and computed at a time.", ge=1, keyed=False)
