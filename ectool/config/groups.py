"""Options that several commands share, in groups that the help shows together."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from ectool.errors import UsageError
from ectool.options import Channels, Number, Options, TextList, misfit_of_channels, option


class ForceOptions(Options):
    """How a stage treats an output that exists."""

    force: bool = option(
        False,
        "Move an existing output with another key aside, then write the new one.",
        keyed=False,
    )


class OutputOptions(ForceOptions):
    """Where a stage writes."""

    output: Path = option(..., "Artifact to write.", keyed=False)


class DeviceOptions(Options):
    """Device and threads that compute."""

    device: str = option(
        "auto",
        "Device: cpu, cuda, cuda:1, mps; auto takes an accelerator if there is one.",
        keyed=False,
    )
    threads: int = option(0, "Number of CPU threads; 0: all cores.", ge=0, keyed=False)


class ViewOptions(Options):
    """Images and classes of a data set."""

    size: int = option(
        224,
        "Side of the square images in pixels, for data sets of images of different sizes.",
        ge=8,
    )
    view: Literal["crop", "squash"] = option(
        "crop",
        "How images become square: resize and crop the centre (crop), or only resize (squash).",
    )
    fraction: Number = option(1.0, "Share of the training images of each class to use.", gt=0, le=1)
    limit: int | None = option(
        None, "Maximum number of images of a split; a hash of their ids selects them.", ge=1
    )
    fold: int | None = option(
        None, "stl10: number of the predefined fold of training images.", ge=0
    )
    rho: Number = option(
        0.5,
        "digits, letters: share of images whose background is of the family of their class.",
        ge=0,
        le=1,
    )
    data_seed: int = option(
        0, "Seed of the random parts of a data set: backgrounds, --fraction and --limit.", ge=0
    )
    class_order: Literal["natural", "text"] | None = option(
        None,
        "Order of class names that are integers: natural (0, 1, 2, 10) or text (0, 1, 10, 2). "
        "Default: text for folders, as in torchvision; natural for tables.",
    )


class DataOptions(ViewOptions):
    """Data set that a stage reads."""

    # Not keyed: it may be a path, and the fingerprint of the data is in the key.
    data: str = option(
        "digits", "Data set, as NAME or NAME:PATH; see `ectool data list`.", keyed=False
    )


class CheckpointOptions(Options):
    """Weights of a network from another program, and how to read them."""

    checkpoint: Path | None = option(
        None,
        "Weights from another program, for an architecture (.pth, .pt, .ckpt, .safetensors).",
        keyed=False,
    )
    entry: str | None = option(
        None, "Part of the checkpoint to load: ema, or a dotted name. Default: found automatically."
    )
    mean: Channels | None = option(
        None, "Mean of each channel, for pixels in [0, 1]. Default: that of the public weights."
    )
    std: Channels | None = option(
        None, "Standard deviation of each channel. Default: that of the public weights."
    )

    @model_validator(mode="after")
    def _check_normalisation(self) -> CheckpointOptions:
        """Refuse a normalisation that is not for pixels in [0, 1].

        Raises:
            UsageError: The mean or the standard deviation is out of bounds.
        """
        for name, values in {"mean": self.mean, "std": self.std}.items():
            misfit = None if values is None else misfit_of_channels(name, values)
            if misfit is not None:
                got = ",".join(f"{value:g}" for value in values or ())
                raise UsageError(f"--{name}", expected=misfit[0], got=got, fix=misfit[1])
        return self


class ModelOptions(CheckpointOptions):
    """Model of a stage, and its target layer."""

    model: str = option(
        ...,
        "Model artifact (a folder); or an architecture, with --checkpoint: a name in torchvision, "
        "timm:NAME or import:package.module:factory; or torchscript:FILE or exported:FILE.",
        keyed=False,
    )
    classes: int | None = option(
        None, "Number of classes of the checkpoint or program.", ge=2, keyed=False
    )
    classes_by_position: bool = option(
        False, "Match the classes of model and data by position if their names differ."
    )
    layer: TextList = option(
        (),
        "Target layer; or several, whose heatmaps are fused. Default: found automatically.",
    )


class ShardOptions(ForceOptions):
    """How artifacts of arrays are written."""

    shard_size: int = option(
        256, "Samples in a shard. A shard is written, or computed again, as a whole.", ge=1
    )
    resume: bool = option(
        False,
        "Check every shard of an existing output, and compute damaged shards again.",
        keyed=False,
    )


class MapOptions(ShardOptions, OutputOptions):
    """Options of stages that process a data set shard by shard."""

    batch_size: int = option(
        64, "Number of samples that are read and computed at once.", ge=1, keyed=False
    )
