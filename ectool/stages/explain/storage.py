"""Storage of heatmaps: resolution and dtype."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.config import ExplainConfig
from ectool.explainers.cut import run_forward
from ectool.models.classifier import Classifier
from ectool.models.interpolation import average_cells, upsample
from ectool.scores.similarity import is_constant
from ectool.stages.common.constant_maps import EXPLAINED, FINDING, SATURATED, ZERO
from ectool.stages.common.huge_logits import huge_logits
from ectool.stages.explain.explainer import find_method

HALF_MAX = float(np.finfo(np.float16).max)


class MapStorage:
    """Converts heatmaps of an explainer to the arrays of the artifact.

    Maps at a layer are float16, saturated at the maximum of float16. Other maps remain float32:
    spread over many pixels, their values are too small for float16.

    Args:
        config: The method, and the resolution of stored heatmaps.
        model: The explained classifier.
    """

    def __init__(self, config: ExplainConfig, model: Classifier) -> None:
        self.size = config.store_size
        self.model = model
        self.is_half = find_method(config.method).grid == "layer"
        self.layer_size: tuple[int, int] | None = None

    def pack(self, maps: Tensor, pixels: Tensor) -> Tensor:
        """Return heatmaps as stored, on their device."""
        maps = self._resized(maps, pixels)
        if self.is_half:
            maps = maps.clamp(max=HALF_MAX).to(torch.float16)
        return maps

    def findings(self, arrays: Arrays) -> dict[str, int]:
        """Count maps that are zero, constant, or too large for float16, and huge logits.

        Multi-label data: all maps as well, one for each label of a sample.
        """
        found = huge_logits(arrays)
        if arrays["target"].ndim > 1:
            found[EXPLAINED] = int((arrays["target"] >= 0).sum())
        for name in ("clean", "adversarial"):
            if name in arrays:
                shown = arrays[name].any(axis=(-2, -1)) & (arrays["target"] >= 0)
                flat = is_constant(arrays[name]) & shown
                if flat.any():
                    found[f"{FINDING}_{name}"] = int(flat.sum())
                highest = arrays[name].max(axis=(-2, -1))[arrays["target"] >= 0]
                saturated = self.is_half & (highest == HALF_MAX)
                found[f"{ZERO}_{name}"] = int((highest == 0).sum())
                found[f"{SATURATED}_{name}"] = int(saturated.sum())
        return found

    def _resized(self, maps: Tensor, pixels: Tensor) -> Tensor:
        if self.size == "pixels":
            return upsample(maps, (pixels.shape[2], pixels.shape[3]))
        if self.size is None or self.is_half:
            return maps
        if self.layer_size is None:
            activations, _ = run_forward(self.model, pixels[:1])
            self.layer_size = activations.shape[2], activations.shape[3]
        return average_cells(maps, self.layer_size)
