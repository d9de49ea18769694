"""Measure every candidate on the images of one checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ectool.config.validity import ATTACKS, StudyConfig
from ectool.explainers import EXPLAINERS, make_explainer, upsample
from ectool.explainers.base import Explainer
from ectool.explainers.cam.signed_cam import SignedGradCAM
from ectool.models.classifier import Classifier
from ectool.models.interpolation import average_cells
from ectool.models.layers.target_layer import named_target_layer
from ectool.scores import candidates
from ectool.scores.similarity import cosine, pearson
from ectool.scores.stability import probability
from ectool.stages.validity.batches import parts
from ectool.stages.validity.images import Versions
from ectool.stages.validity.scene import Scene, reliance
from ectool.stages.validity.versions import CLEAN, Version

Columns = dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]]

CELLS = 8
"""Side of the grid on which heatmaps of single pixels are averaged, because they are noisy."""


@dataclass(frozen=True)
class Explained:
    """Predictions and heatmaps of some images.

    Attributes:
        signed: Grad-CAM before the ReLU, of every class.
        pixels: Input x gradient of the true class, averaged over the cells of a grid.
        logits: Logits.
    """

    signed: np.ndarray[tuple[int, int, int, int], np.dtype[np.float32]]
    pixels: np.ndarray[tuple[int, int, int], np.dtype[np.float32]]
    logits: np.ndarray[tuple[int, int], np.dtype[np.float32]]


class Measurement:
    """The measurement of one checkpoint.

    Args:
        model: A frozen classifier.
        scene: The images.
        config: Options of the study.
    """

    def __init__(self, model: Classifier, scene: Scene, config: StudyConfig) -> None:
        self.model, self.scene, self.config = model, scene, config
        self.labels = scene.labels.cpu().numpy()
        self.signed = SignedGradCAM(model)
        self.fine = make_explainer("input-x-gradient", EXPLAINERS["input-x-gradient"], model, {})
        self.clean = self._explained(scene.pixels)
        self.before = _of_class(self.clean.signed, self.labels)
        logits = torch.from_numpy(self.clean.logits).to(scene.pixels.device)
        self.versions = Versions(model, scene, self._maps(), logits, config)

    def columns(self, versions: Iterable[Version]) -> Columns:
        """Return truth, clean loss, and every similarity and stability of some versions.

        Args:
            versions: The versions to measure.

        Returns:
            One number per image, by `truth`, `loss`, `correct`, `VERSION|similarity|NAME`,
            `VERSION|stability|NAME` and `VERSION|score|NAME`.

        Cost: for each version its own passes, and one forward pass for each of its draws. The
        heatmaps of the pixels cost a forward and a backward pass, in the first draw of a
        replacement only.
        """
        found = {
            "truth": reliance(self.model, self.scene, self.config.backgrounds).cpu().numpy(),
            "loss": -np.log(np.maximum(probability(self.clean.logits, self.labels), 1e-12)),
            "correct": self.clean.logits.argmax(1) == self.labels,
            **self._clean_scores(),
        }
        for version in versions:
            found |= {f"{version}|{name}": values for name, values in self._of(version).items()}
        return {name: np.asarray(values, np.float32) for name, values in found.items()}

    def _of(self, version: Version) -> dict[str, np.ndarray]:
        """Return the mean over the draws of everything that is measured on a version."""
        background = self.versions.background(version)
        is_attack = version.kind in ATTACKS
        draws = [
            self._compared(images, background, with_pixels=number == 0 and not is_attack)
            for number, images in enumerate(self.versions.draws(version))
        ]
        return {
            name: np.mean([one[name] for one in draws if name in one], axis=0) for name in draws[0]
        }

    def _compared(
        self, images: Tensor, background: Tensor | None, *, with_pixels: bool
    ) -> dict[str, np.ndarray]:
        """Compare images with the clean ones."""
        after = self._explained(images, with_pixels=with_pixels)
        own = _of_class(after.signed, self.labels)
        predicted = _of_class(after.signed, after.logits.argmax(1))
        similarities = candidates.similarities(self.before, own, predicted)
        if with_pixels:
            pair = self.clean.pixels, after.pixels
            similarities |= {"pixel-cosine": cosine(*pair), "pixel-pearson": pearson(*pair)}
        stabilities = candidates.stabilities(self.clean.logits, after.logits, self.labels)
        scores = candidates.map_scores(own)
        if background is not None:
            scores |= self._inside(own, background)
        return {
            **{f"similarity|{name}": np.nan_to_num(s) for name, s in similarities.items()},
            **{f"stability|{name}": values for name, values in stabilities.items()},
            **{f"score|{name}": values for name, values in scores.items()},
        }

    def _inside(self, own: np.ndarray, background: Tensor) -> dict[str, np.ndarray]:
        """Return the shares of the map, and of its change, that lie outside of the background."""
        shape = own.shape[1], own.shape[2]
        inside = 1 - average_cells(background.float(), shape).cpu().numpy()
        found = {"map-inside": np.maximum(own, 0), "change-inside": np.abs(own - self.before)}
        return {
            name: (maps * inside).sum((1, 2)) / np.maximum(maps.sum((1, 2)), 1e-12)
            for name, maps in found.items()
        }

    def _clean_scores(self) -> dict[str, np.ndarray]:
        """Return scores of the clean images' heatmaps alone."""
        others = self.clean.logits.copy()
        np.put_along_axis(others, self.labels[:, None], -np.inf, axis=1)
        rival = np.maximum(_of_class(self.clean.signed, others.argmax(1)), 0)
        positive = np.maximum(self.before, 0)
        scores = {"unlike-runner-up": 1 - np.nan_to_num(cosine(positive, rival))}
        finer = average_cells(self.versions.maps["layercam"], positive.shape[1:]).cpu().numpy()
        scores["layers-agree"] = np.nan_to_num(pearson(positive, finer))
        return {f"{CLEAN}|score|{name}": values for name, values in scores.items()}

    def _maps(self) -> dict[str, Tensor]:
        """Return the heatmaps of the true class that select backgrounds, at the pixels."""
        size, device = self.scene.pixels.shape[2:], self.scene.pixels.device
        gradcam = torch.from_numpy(np.maximum(self.before, 0)).to(device)
        fine = torch.from_numpy(self.clean.pixels).to(device)
        drawn = {"gradcam": gradcam, "layercam": self._layercam(), "input-x-gradient": fine}
        return {name: upsample(maps, (size[0], size[1])) for name, maps in drawn.items()}

    def _layercam(self) -> Tensor:
        """Return LayerCAM of several layers, fused."""
        first, *further = (
            named_target_layer(self.model.network, self.model.input_size, layer)
            for layer in self.config.layers
        )
        spec = replace(self.model.spec, target_layer=first.name, layout=first.layout)
        model = Classifier(self.model.network, spec, further).to(self.scene.pixels.device)
        explainer = make_explainer("layercam", EXPLAINERS["layercam"], model, {})
        return self._drawn(explainer, self.scene.pixels)

    def _drawn(self, explainer: Explainer, images: Tensor) -> Tensor:
        batches = zip(parts(images), parts(self.scene.labels), strict=True)
        return torch.cat([explainer(part, labels).heatmaps for part, labels in batches])

    def _explained(self, images: Tensor, *, with_pixels: bool = True) -> Explained:
        """Explain every class of images."""
        classes = torch.arange(len(self.model.class_names), device=images.device)
        found = [self.signed(part, classes.expand(len(part), -1)) for part in parts(images)]
        fine = images.new_zeros(len(images), 1, 1)
        if with_pixels:
            fine = average_cells(self._drawn(self.fine, images), (CELLS, CELLS))
        return Explained(
            signed=torch.cat([one.heatmaps for one in found]).cpu().numpy(),
            pixels=fine.cpu().numpy(),
            logits=torch.cat([one.logits for one in found]).float().cpu().numpy(),
        )


def _of_class(maps: np.ndarray, classes: np.ndarray) -> Float[np.ndarray, "n h w"]:
    """Return the map of one class of each image."""
    return np.asarray(maps[np.arange(len(maps)), classes])
