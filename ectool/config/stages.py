"""Options of explain, score and train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from ectool.config.groups import (
    CheckpointOptions,
    DataOptions,
    DeviceOptions,
    MapOptions,
    ModelOptions,
    OutputOptions,
    ShardOptions,
)
from ectool.config.heatmaps import HeatmapOptions
from ectool.options import Number, TextList, option


class ExplainConfig(ModelOptions, HeatmapOptions, MapOptions, DeviceOptions):
    """Options of `explain`."""

    samples: Path | None = option(None, "Samples artifact: explain both of each pair.", keyed=False)
    data: str | None = option(None, "Data set; the one of --samples unless given.", keyed=False)
    split: str | None = option(None, "Split; the one of --samples, or train.")
    size: int | None = option(None, "Side of the square view of images of many sizes.", ge=8)
    view: Literal["crop", "squash"] | None = option(None, "How images become squares.")
    fraction: Number | None = option(None, "Share of the training images.", gt=0, le=1)
    limit: int | None = option(None, "Most images of the split.", ge=1)
    fold: int | None = option(None, "stl10: predefined fold.", ge=0)
    rho: Number | None = option(None, "digits: share of biased backgrounds.", ge=0, le=1)
    data_seed: int | None = option(None, "Seed of everything drawn with the data.", ge=0)
    class_order: Literal["natural", "text"] | None = option(
        None, "Order of the classes of folders and tables."
    )
    targets: Literal["label", "prediction"] = option("label", "Class that is explained.")
    store_size: Literal["layer", "pixels"] | None = option(
        None, "Resolution of the stored maps; the method's own unless given."
    )

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


def check_loggers(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse names of no logger, and drop repetitions.

    Raises:
        ValueError: What was expected.
    """
    if not set(names) <= set(LOGGERS):
        raise ValueError(f"any of {', '.join(LOGGERS)}")
    return tuple(dict.fromkeys(names))


LOGGERS = ("tensorboard", "mlflow", "wandb")
"""Programs that a training can be logged to, each an extra of the same name."""
Loggers = Annotated[TextList, AfterValidator(check_loggers)]


class TrainConfig(CheckpointOptions, DataOptions, OutputOptions, DeviceOptions):
    """Options of `train`."""

    model: str = option(
        "smallcnn", "Architecture to train: torchvision's, timm:NAME, import:module:factory."
    )
    reset_head: bool = option(False, "Start the last layer anew: for other classes.")
    split: str = option("train", "Split that is learned from.")
    shuffle_labels: bool = option(
        False, "Give every image the label of another one, drawn by the seed: a sanity check."
    )
    layer: str | None = option(None, "Target layer; found automatically unless given.")
    epochs: int = option(30, "Length of the whole schedule.", ge=1)
    until_epoch: int | None = option(None, "Epoch to stop at; the last one unless given.", ge=1)
    resume: Path | None = option(None, "Model artifact to go on from.", keyed=False)
    weights: Path | None = option(None, "Weights artifact; 1 each unless given.", keyed=False)
    samples: Path | None = option(None, "Samples artifact to learn from as well.", keyed=False)
    mix: Number = option(
        0.5, "Share of the images that --samples replaces, drawn anew each epoch.", ge=0, le=1
    )
    crop_scale: Number | None = option(
        None, "Least share of an image that random crops show; no crops unless given.", gt=0, le=1
    )
    flip: bool = option(False, "Mirror half of the images, drawn anew each epoch.")
    rand_augment: int = option(
        0, "Magnitude of RandAugment, two operations; 0 for none.", ge=0, le=30
    )
    optimizer: Literal["adamw", "sgd"] = option("sgd", "Optimizer; sgd has Nesterov momentum 0.9.")
    lr: Number = option(0.2, "Peak learning rate of the one-cycle schedule.", gt=0)
    weight_decay: Number = option(5e-4, "Weight decay.", ge=0)
    lr_warmup: Number = option(0.2, "Share of the steps in which the rate rises.", ge=0, lt=1)
    batch_size: int = option(32, "Most samples per step; batches are cut evenly.", ge=1)
    seed: int = option(0, "Seed of the initial weights and of the order.", ge=0)
    log: Loggers = option(
        (), f"Log every epoch to any of {', '.join(LOGGERS)}; none unless given.", keyed=False
    )
