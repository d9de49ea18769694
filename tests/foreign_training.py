"""Somebody else's network, images and loop."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
COUNT, CLASSES, SIDE = 16, 3, 16
BATCH = 8


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, CLASSES),
        )


def normalised(pixels):
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (pixels - mean) / std


def make_samples():
    """Return (normalised image, label) pairs of images on the grid of bytes."""
    draw = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (COUNT, 3, SIDE, SIDE), generator=draw) / 255
    labels = torch.randint(0, CLASSES, (COUNT,), generator=draw)
    return list(zip(normalised(images), labels, strict=True))


def batches(samples):
    """Yield images, labels and rows, in order."""
    for first in range(0, len(samples), BATCH):
        part = samples[first : first + BATCH]
        images, labels = (torch.stack(values) for values in zip(*part, strict=True))
        yield images, labels, torch.arange(first, first + len(part))


def trained(samples, epochs, change, begin, model=None):
    """Train a network plainly on what `change` makes of each batch: images and weights."""
    model = network() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(epochs):
        begin(epoch)
        for images, labels, rows in batches(samples):
            images, weights = change(images, labels, rows)
            losses = F.cross_entropy(model(images), labels, reduction="none")
            optimizer.zero_grad()
            (weights * losses).mean().backward()
            optimizer.step()
    return model


def same(one, other):
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(first[k].equal(second[k]) for k in first)
