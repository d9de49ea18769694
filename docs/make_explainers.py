"""Make the images of docs/explainers.md: the heatmap of each method for one digit on a texture.

    python -m docs.make_explainers [--work FOLDER]

A small CNN and a small vision transformer are trained first (minutes); the methods that use
attention explain the transformer.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from ectool.config import METHODS, DataOptions, TrainConfig
from ectool.explainers import EXPLAINERS, make_explainer, upsample
from ectool.models.classifier import Classifier, to_pixels
from ectool.stages import train
from ectool.stages.common.inputs import open_data
from ectool.stages.common.loaded import load_folder

FOLDER = Path(__file__).with_name("explainers")
NEEDS_ATTENTION = ("attention-rollout", "transformer-relevance")
CNN = {"model": "smallcnn"}
VIT = {"model": "import:docs.networks:small_vit", "optimizer": "adamw", "lr": 2e-3}
DATA = {"data": "digits", "rho": 0.3}
DIGIT = 3


def main() -> None:
    """Draw all images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("run/docs"), help="for the networks")
    work = parser.parse_args().work
    FOLDER.mkdir(exist_ok=True)
    cnn, vit = trained(work / "cnn", CNN), trained(work / "vit", VIT)
    for method in METHODS:
        draw(method, vit if method in NEEDS_ATTENTION else cnn)


def trained(output: Path, options: dict[str, object]) -> Classifier:
    """Train a network on the digits, or load the existing one."""
    config = TrainConfig(output=output, epochs=30, **DATA, **options)
    return load_folder(train.run(config).path, named=config.model).eval()


def one_digit() -> Tensor:
    """Return a test image of the digit."""
    digits = open_data(DataOptions(**DATA), "test")
    return to_pixels(digits.images(np.flatnonzero(digits.labels == DIGIT)[:1]))


def draw(method: str, model: Classifier) -> None:
    """Write image, raw map and overlay side by side."""
    pixels = one_digit()
    explainer = make_explainer(method, EXPLAINERS[method], model, {})
    heatmap = explainer(pixels, torch.tensor([DIGIT])).heatmaps
    image = pixels[0].permute(1, 2, 0).numpy()
    figure, axes = plt.subplots(1, 3, figsize=(6, 2.3), dpi=100)
    own = f"{heatmap.shape[1]} × {heatmap.shape[2]}, maximum {heatmap.max():.3g}"
    axes[0].imshow(image)
    axes[1].imshow(heatmap[0], cmap="magma", vmin=0)
    axes[2].imshow(image)
    whole = upsample(heatmap, (image.shape[0], image.shape[1]))[0]
    axes[2].imshow(whole, cmap="magma", alpha=0.6, vmin=0)
    for axis, title in zip(axes, (f"class {DIGIT}", own, "overlay"), strict=True):
        axis.set_title(title, fontsize=8)
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(FOLDER / f"{method}.png")
    plt.close(figure)


if __name__ == "__main__":
    main()
