"""What the checks compare: small networks with random weights on both devices, and their images."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from ectool.api.images import dataset_of
from ectool.datasets.image_arrays import ImageArrays
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.modes import frozen
from ectool.models.registry import create

CLASSES, SIDE, COUNT = 10, 64, 8
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Pair:
    """The same network on the CPU and on the device, and images with its predictions as labels."""

    host: Classifier
    there: Classifier
    dataset: ImageArrays

    @property
    def both(self) -> tuple[Classifier, Classifier]:
        return self.host, self.there

    @property
    def labels(self) -> torch.Tensor:
        return torch.from_numpy(np.asarray(self.dataset.labels))


@contextmanager
def paired_networks(architecture: str, device: torch.device) -> Iterator[Pair]:
    """Yield a pair of frozen networks and their images."""
    host = network(architecture).eval()
    images = smooth_noise(COUNT)
    with torch.no_grad():
        labels = host(to_pixels(images)).argmax(1)
    objects = np.zeros((COUNT, SIDE, SIDE), np.bool_)
    objects[:, SIDE // 4 : 3 * SIDE // 4, SIDE // 4 : 3 * SIDE // 4] = True
    there = copy.deepcopy(host).to(device)
    dataset = dataset_of(images, labels, None, objects)
    with ExitStack() as stack:
        for one in (host, there):
            stack.enter_context(frozen(one))
        yield Pair(host, there, dataset)


def network(architecture: str) -> Classifier:
    """Return a network with random weights, the same each time."""
    names = [str(number) for number in range(CLASSES)]
    return create(architecture, names, seed=0, input_size=(SIDE, SIDE))


def smooth_noise(count: int) -> np.ndarray:
    """Return uint8 images with large and small random structures; every tenth has the same ones."""
    draw = torch.Generator().manual_seed(0)
    classes = torch.arange(count) % CLASSES
    large = torch.rand(CLASSES, 3, 6, 6, generator=draw)[classes]
    small = torch.rand(count, 3, SIDE, SIDE, generator=draw)
    mixed = 0.8 * F.interpolate(large, size=(SIDE, SIDE), mode="bilinear") + 0.2 * small
    return mixed.mul(255).round().byte().numpy()
