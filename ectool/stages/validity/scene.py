"""The images of one checkpoint, and the true reliance of their predictions on the background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ectool.attacks.replacement import draw_others, replaced
from ectool.config import DataOptions
from ectool.datasets.base import Dataset
from ectool.errors import InputError
from ectool.models.classifier import Classifier, to_pixels
from ectool.stages.validity.batches import in_batches
from ectool.stages.validity.draws import BACKGROUND_ONLY, ORIGINAL, open_draws

TRUTH_SEED = 7
"""Seed of the backgrounds of the truth, which differs from that of the candidates."""


@dataclass(frozen=True)
class Scene:
    """Images of several draws of a split, on the device.

    Attributes:
        sample_ids: Identifier of each image; unique over the draws.
        clusters: Object of each image; the draws show the same objects on other backgrounds.
        pixels: Images in [0, 1].
        labels: True classes.
        objects: Masks of the objects.
        backgrounds: The background of each image, without its object.
    """

    sample_ids: list[str]
    clusters: np.ndarray[tuple[int], np.dtype[np.int64]]
    pixels: Tensor
    labels: Tensor
    objects: Tensor
    backgrounds: Tensor


def read_scene(options: DataOptions, split: str, seeds: range, device: torch.device) -> Scene:
    """Read images, masks and backgrounds.

    Raises:
        InputError: The data set has no masks, or no such variant.
    """
    draws = open_draws(options, split, ORIGINAL, seeds)
    behind = open_draws(options, split, BACKGROUND_ONLY, seeds)
    names = [name for dataset in draws for name in dataset.sample_ids]
    ids = [
        f"{seed}/{name}"
        for seed, dataset in zip(seeds, draws, strict=True)
        for name in dataset.sample_ids
    ]
    return Scene(
        sample_ids=ids,
        clusters=np.unique(names, return_inverse=True)[1].astype(np.int64),
        pixels=read_pixels(draws, device),
        labels=torch.from_numpy(np.concatenate([dataset.labels for dataset in draws])).to(device),
        objects=torch.from_numpy(np.concatenate([_masks(dataset) for dataset in draws])).to(device),
        backgrounds=read_pixels(behind, device),
    )


def read_pixels(draws: list[Dataset], device: torch.device) -> Tensor:
    """Return the images of all draws in [0, 1]."""
    images = [dataset.images(np.arange(len(dataset.sample_ids))) for dataset in draws]
    return to_pixels(torch.from_numpy(np.concatenate(images)).to(device))


def _masks(dataset: Dataset) -> np.ndarray[tuple[int, int, int], np.dtype[np.bool_]]:
    masks = dataset.annotations(np.arange(len(dataset.sample_ids))).masks
    if masks is None:
        raise InputError(
            f"study on {dataset.name}",
            expected="a data set with object masks",
            got="none",
            fix="change [study] data",
        )
    return np.asarray(masks)


def reliance(model: Classifier, scene: Scene, backgrounds: int) -> Tensor:
    """Measure how far each prediction rests on the background.

    ``1 - mean_k p_y(object on background k)``: the object's own pixels, by its annotated mask, on
    the backgrounds of other images.

    Args:
        model: A frozen classifier.
        scene: The images.
        backgrounds: Number of backgrounds for each object.

    Returns:
        Numbers in [0, 1], one per image.

    Cost: one forward pass per background.
    """
    total = torch.zeros(len(scene.labels), device=scene.pixels.device)
    for number in range(backgrounds):
        others = draw_others(scene.sample_ids, TRUTH_SEED, number)
        images = replaced(scene.pixels, ~scene.objects, scene.backgrounds[others])
        logits = in_batches(model, images)
        total += logits.softmax(1).gather(1, scene.labels[:, None])[:, 0]
    return 1 - total / backgrounds


def accuracy(model: Classifier, draws: list[Dataset], device: torch.device) -> float:
    """Return the share of images that are classified correctly."""
    labels = np.concatenate([dataset.labels for dataset in draws])
    predictions = in_batches(model, read_pixels(draws, device)).argmax(1).cpu().numpy()
    return float((predictions == labels).mean())
