"""Tiny copies of published data sets. Runs in a process of the zygote."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

TORCHVISION = ("MNIST", "GTSRB", "DTD", "EuroSAT")
"""Those whose files torchvision does not compare with published digests."""


def main(argv: list[str]) -> None:
    from miniatures.cub200 import write_cub200
    from miniatures.imagenet9 import write_imagenet9
    from miniatures.stl10 import write_stl10
    from miniatures.torchvision_sets import write_torchvision
    from miniatures.voc import write_voc2012

    makers: dict[str, Callable[[Path], object]] = {
        "cub200": lambda folder: write_cub200(folder, 2),
        "imagenet9": lambda folder: write_imagenet9(folder / "imagenet9", 1, 2, 16),
        "stl10": lambda folder: write_stl10(folder / "stl10_binary", 2, 1, 2),
        "voc2012": lambda folder: write_voc2012(folder, 1),
        **{
            name.lower(): lambda folder, name=name: write_torchvision(name, folder, 2)
            for name in TORCHVISION
        },
    }
    for name, make in makers.items():
        folder = Path(argv[0], "published", name)
        folder.mkdir(parents=True)
        make(folder)
    sys.exit(0)
