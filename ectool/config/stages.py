"""Options of explain, score and train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from ectool.config.groups import (
    DATA_SETS,
    DATA_URI,
    ArrayOptions,
    CheckpointOptions,
    DataOptions,
    DeviceOptions,
    ModelOptions,
    OutputOptions,
    RankOptions,
    ShardOptions,
    ViewOptions,
)
from ectool.config.heatmaps import CompileOptions, HeatmapOptions
from ectool.config.interpretable import InterpretableOptions
from ectool.config.measure import SIMILARITY, STABILITY, Similarity, Stability
from ectool.config.objectives import REPLACING, ObjectiveOptions
from ectool.config.parts import PartOptions
from ectool.config.splits import Split, split_option
from ectool.errors import UsageError
from ectool.options import Number, TextList, option


def _as_samples(name: str) -> str:
    """Return the help of an option of the data whose default is that of `--samples`."""
    field = DataOptions.model_fields[name]
    help = str(field.description).partition(" Default:")[0]
    other = "" if field.default is None else f", else {field.default}"
    return f"{help} Default: that of --samples{other}."


class ExplainConfig(ModelOptions, CompileOptions, ArrayOptions, DeviceOptions, PartOptions):
    """Options of `explain`."""

    PANEL = ViewOptions.PANEL

    samples: Path | None = option(
        None,
        "Samples artifact, whose clean and perturbed images are explained.",
        keyed=False,
        main=True,
        role="input",
    )
    data: str | None = option(
        None,
        "Data set, as NAME or NAME:PATH. Default: that of --samples.",
        keyed=False,
        main=True,
        metavar=DATA_URI,
        choices=DATA_SETS,
    )
    split: Split | None = split_option(
        None, "Split of the data set. Default: that of --samples, else train."
    )
    size: int | None = option(None, _as_samples("size"), ge=8, main=True)
    view: Literal["crop", "squash"] | None = option(None, _as_samples("view"))
    fraction: Number | None = option(None, _as_samples("fraction"), gt=0, le=1)
    limit: int | None = option(None, _as_samples("limit"), ge=1)
    fold: int | None = option(None, _as_samples("fold"), ge=0)
    rho: Number | None = option(None, _as_samples("rho"), ge=0, le=1)
    data_seed: int | None = option(None, _as_samples("data_seed"), ge=0)
    class_order: Literal["natural", "text"] | None = option(None, _as_samples("class_order"))
    max_pixels: int | None = option(None, _as_samples("max_pixels"), ge=1, keyed=False)
    targets: Literal["label", "prediction"] = option(
        "label", "Class to explain: the label, or the prediction.", main=True
    )
    store_size: Literal["layer", "pixels"] | None = option(
        None,
        "Resolution of the stored heatmaps. Default: that of the method.",
        panel=HeatmapOptions.PANEL,
    )

    def data_options(self, source: DataOptions) -> DataOptions:
        """Return the options of the data to read: those given here, else those of `source`."""
        names = DataOptions.model_fields
        given = {n: value for n in names if (value := getattr(self, n)) is not None}
        return source.model_copy(update=given)


class ScoreConfig(ShardOptions):
    """Options of `score`."""

    heatmaps: Path = option(
        ..., "Heatmaps artifact, of clean and perturbed images.", keyed=False, role="input"
    )
    output: Path | None = option(
        None,
        "Weights artifact. Default: weights.zarr in the folder of --heatmaps.",
        keyed=False,
        role="arrays",
    )
    previous: Path | None = option(
        None,
        "Weights artifact of the previous round, for --momentum.",
        keyed=False,
        role="input",
    )
    similarity: Similarity = option(SIMILARITY, "Similarity of the two heatmaps, s_H.")
    stability: Stability = option(STABILITY, "Stability of the prediction, s_P.")
    gamma: Number = option(
        1.0, "Exponent of the weights (1 - E)^gamma; E: explanation consistency.", ge=0
    )
    momentum: Number = option(
        0.0,
        "Share of the previous round in the averaged weights; 1 keeps those of the first round.",
        ge=0,
        le=1,
    )
    cap: Number = option(10.0, "Maximum weight; the mean weight is 1.", ge=1)
    floor: Number = option(
        0.5, "Minimum effective sample size, as a share of the number of samples.", ge=0, le=1
    )
    shard_size: int = option(65536, "Samples in a shard of the weights artifact.", ge=1)


def check_loggers(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse unknown loggers, and drop repetitions.

    Raises:
        ValueError: What was expected.
    """
    if not set(names) <= set(LOGGERS):
        raise ValueError(f"any of {', '.join(LOGGERS)}")
    return tuple(dict.fromkeys(names))


LOGGERS = ("tensorboard", "mlflow", "wandb")
"""Programs that record a training, each an extra of the same name."""
AUGMENTATION = "augmentation"
"""Panel of the help."""
Loggers = Annotated[TextList, AfterValidator(check_loggers)]


class TrainConfig(
    CheckpointOptions,
    DataOptions,
    OutputOptions,
    DeviceOptions,
    RankOptions,
    ObjectiveOptions,
    InterpretableOptions,
):
    """Options of `train`."""

    PANEL = "training"

    model: str = option(
        "smallcnn",
        "Architecture: smallcnn, smallresnet, smallvit, a name in torchvision, timm:NAME, "
        "openclip:ARCH or import:package.module:factory; or a model artifact (a folder), which is "
        "fine-tuned.",
        main=True,
        metavar="MODEL",
    )
    reset_head: bool = option(
        False,
        "Do not load the last layer of the checkpoint: for data of other classes.",
        panel=CheckpointOptions.PANEL,
    )
    split: Split = split_option("train", "Split to train on.", panel=DataOptions.PANEL)
    shuffle_labels: bool = option(
        False,
        "Permute the labels of the images at random: a sanity check.",
        panel=DataOptions.PANEL,
    )
    layer: str | None = option(
        None,
        "Target layer of the heatmaps. Default: found automatically.",
        metavar="LAYER",
        panel=CheckpointOptions.PANEL,
    )
    epochs: int = option(30, "Number of epochs of the whole schedule.", ge=1, main=True)
    until_epoch: int | None = option(None, "Epoch after which to stop. Default: the last.", ge=1)
    resume: Path | None = option(
        None, "Model artifact to continue from.", keyed=False, main=True, role="input"
    )
    weights: Path | None = option(
        None,
        "Weights artifact. Default: weight 1 for every sample.",
        keyed=False,
        main=True,
        role="input",
    )
    samples: Path | None = option(
        None,
        "Samples artifact, whose perturbed images are also trained on.",
        keyed=False,
        main=True,
        role="input",
    )
    mix: Number = option(
        0.5,
        "Share of images to replace with those of --samples, or with those that the objective "
        "perturbs; drawn again each epoch. Some objectives have another default.",
        ge=0,
        le=1,
    )
    crop_scale: Number | None = option(
        None,
        "Minimum share of the area that a random crop shows. Default: no crops.",
        gt=0,
        le=1,
        panel=AUGMENTATION,
    )
    flip: bool = option(
        False, "Mirror each image with probability 1/2, in each epoch.", panel=AUGMENTATION
    )
    rand_augment: int = option(
        0,
        "Magnitude of RandAugment with two operations; 0: no RandAugment.",
        ge=0,
        le=30,
        panel=AUGMENTATION,
    )
    optimizer: Literal["adamw", "sgd"] = option("sgd", "Optimizer; sgd uses Nesterov momentum 0.9.")
    lr: Number = option(
        0.2,
        "Peak learning rate of the one-cycle schedule. With --checkpoint, or a model artifact as "
        "--model, the default is 0.01, and 0.001 for adamw.",
        gt=0,
        main=True,
    )
    weight_decay: Number = option(5e-4, "Weight decay.", ge=0)
    lr_warmup: Number = option(
        0.2, "Share of the steps in which the learning rate rises.", ge=0, lt=1
    )
    batch_size: int = option(
        32,
        "Maximum number of samples in a step; batches have nearly equal sizes.",
        ge=1,
        main=True,
    )
    precision: Literal["fp32", "bf16"] = option(
        "fp32",
        "Precision of the network in a training step; weights, optimizer and loss stay in fp32.",
    )
    seed: int = option(
        0, "Seed of the initial weights, the order of the samples and the augmentation.", ge=0
    )
    log: Loggers = option(
        (),
        f"Programs that record every epoch: {', '.join(LOGGERS)}. Default: none.",
        keyed=False,
        choices=LOGGERS,
    )

    def keyed(self) -> dict[str, Any]:
        """Return the options that can change the result; earlier versions had one precision."""
        keyed = super().keyed()
        if self.precision == "fp32":
            del keyed["precision"]
        return keyed

    @model_validator(mode="after")
    def _check_samples(self) -> TrainConfig:
        """Refuse perturbed images from two sources.

        Raises:
            UsageError: The objective perturbs images, and there are samples.
        """
        if self.samples is not None and self.objective in REPLACING:
            raise UsageError(
                "--samples",
                expected="an objective that does not perturb images itself",
                got=f"--objective {self.objective}",
                fix="leave out one of them",
            )
        return self
