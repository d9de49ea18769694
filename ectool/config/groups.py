"""Options that several commands share, in groups that the help shows together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, model_validator

from ectool.config.data_sets import DATA_SETS as DATA_SETS
from ectool.config.data_sets import MAX_PIXELS as MAX_PIXELS
from ectool.config.trust import TrustOptions
from ectool.errors import UsageError
from ectool.options import Channels, Number, Options, TextList, misfit_of_channels, option

DATA_URI = "NAME[:PATH]"
RGB = "R,G,B"
RADIUS = "N/255"
"""Forms of values in the help."""


class ForceOptions(Options):
    """How a stage treats an output that exists."""

    force: bool = option(
        False,
        "Move an existing output with another key aside, then write the new one.",
        keyed=False,
        main=True,
    )
    check_space: bool = option(
        True, "Refuse to start if the disk has too little space.", keyed=False, panel="machine"
    )


class OutputOptions(ForceOptions):
    """Where a stage writes."""

    output: Path = option(..., "Artifact to write.", keyed=False, main=True, role="output")


class DeviceOptions(Options):
    """Device and threads that compute."""

    PANEL = "machine"

    device: str = option(
        "auto",
        "Device: cpu, cuda, cuda:1, mps; auto takes an accelerator if there is one.",
        keyed=False,
        main=True,
        metavar="DEVICE",
        choices=("auto", "cpu", "cuda", "mps"),
    )
    threads: int = option(0, "Number of CPU threads; 0: all cores.", ge=0, keyed=False)
    deterministic: bool = option(
        False,
        "Compute with deterministic algorithms of the device only, so that a GPU gives the same "
        "bytes again; slower. CPUs do without.",
        keyed=False,
    )
    workers: int = option(
        0,
        "Number of threads that read batches ahead; 0: one on a CPU, up to eight beside an "
        "accelerator.",
        ge=0,
        keyed=False,
    )


class RankOptions(Options):
    """How many processes share the work of a stage."""

    PANEL = DeviceOptions.PANEL

    nproc: int = option(
        1,
        "Processes of this machine that share the work; they share its cores. For several "
        "machines, see docs/distributed.md.",
        ge=1,
        keyed=False,
    )


class ViewOptions(Options):
    """Images and classes of a data set."""

    PANEL = "data"

    size: int = option(
        224,
        "Side of the square images in pixels, for data sets of images of different sizes.",
        ge=8,
        main=True,
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
    max_pixels: int = option(
        MAX_PIXELS,
        "Maximum number of pixels of an image, also after its shorter side is resized; larger "
        "ones are refused before they are decoded.",
        ge=1,
        keyed=False,
    )


class DataOptions(ViewOptions):
    """Data set that a stage reads."""

    # Not keyed: it may be a path, and the fingerprint of the data is in the key.
    data: str = option(
        "digits",
        "Data set, as NAME or NAME:PATH; see `ectool data list`.",
        keyed=False,
        main=True,
        metavar=DATA_URI,
        choices=DATA_SETS,
    )


class CheckpointOptions(TrustOptions):
    """Weights of a network from another program, and how to read them."""

    PANEL = "model"

    checkpoint: Path | None = option(
        None,
        "Weights from another program, for an architecture (.pth, .pt, .ckpt, .safetensors).",
        keyed=False,
        main=True,
        role="input",
    )
    entry: str | None = option(
        None, "Part of the checkpoint to load: ema, or a dotted name. Default: found automatically."
    )
    prompts: Path | None = option(
        None,
        "openclip: TOML file with the templates of the prompts, the names of the classes, or both. "
        "Default: 'a photo of a {}.' with the class names of the data.",
        keyed=False,
        role="input",
    )
    mean: Channels | None = option(
        None,
        "Mean of each channel, for pixels in [0, 1]. Default: that of the public weights.",
        metavar=RGB,
    )
    std: Channels | None = option(
        None,
        "Standard deviation of each channel. Default: that of the public weights.",
        metavar=RGB,
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

    PANEL = CheckpointOptions.PANEL

    model: str = option(
        ...,
        "Model artifact (a folder); or an architecture, with --checkpoint: a name in torchvision, "
        "timm:NAME, openclip:ARCH (zero-shot) or import:package.module:factory; or "
        "torchscript:FILE or exported:FILE.",
        keyed=False,
        main=True,
        metavar="MODEL",
    )
    classes: int | None = option(
        None,
        "Number of classes of the checkpoint or program. Default: that of its head.",
        ge=2,
        keyed=False,
        main=True,
    )
    classes_by_position: bool = option(
        False, "Match the classes of model and data by position if their names differ."
    )
    layer: TextList = option(
        (),
        "Target layer; or several, whose heatmaps are fused. Default: found automatically.",
        main=True,
        metavar="LAYER,...",
    )


class ShardOptions(ForceOptions):
    """How artifacts of arrays are written."""

    PANEL = "shards"

    shard_size: int = option(
        256, "Samples in a shard. A shard is written, or computed again, as a whole.", ge=1
    )
    resume: bool = option(
        False,
        "Check every shard of an existing output, and compute damaged shards again.",
        keyed=False,
    )


AUTO_SIZE = "auto"
"""Batch size that the stage chooses."""


class AutomaticSize(int):
    """A batch size that a stage has chosen, and halves where memory runs out."""


def check_batch_size(value: object) -> object:
    """Return a positive integer or `auto`.

    Raises:
        ValueError: It is neither.
    """
    if value == AUTO_SIZE or (isinstance(value, int) and value >= 1 and value is not True):
        return value
    if isinstance(value, str) and value.isdecimal() and int(value) >= 1:
        return int(value)
    raise ValueError(f"a positive integer, or {AUTO_SIZE}")


BatchSize = Annotated[int | Literal["auto"], BeforeValidator(check_batch_size)]


class MapOptions(ShardOptions, OutputOptions):
    """Options of stages that process a data set shard by shard."""

    PANEL = "machine"

    batch_size: BatchSize = option(
        64,
        "Number of samples that are read and computed at once; auto: as many as the memory of the "
        "device allows.",
        keyed=False,
        metavar="N|auto",
    )

    @property
    def batch(self) -> int:
        """Return the batch size as a number.

        Raises:
            ValueError: It is auto, which the stage replaces before it computes.
        """
        if isinstance(self.batch_size, str):
            raise ValueError("the batch size has not been chosen yet")
        return self.batch_size


class ArrayOptions(MapOptions):
    """Options of stages that write an array artifact."""

    output: Path = option(
        ..., "Artifact to write (.zarr or .h5).", keyed=False, main=True, role="arrays"
    )
