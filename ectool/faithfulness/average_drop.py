"""Average drop and increase in confidence: probabilities of images masked by their heatmaps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ectool.faithfulness.predictions import Explained
from ectool.faithfulness.regions import Heatmaps
from ectool.models.interpolation import upsample


@dataclass(frozen=True)
class ConfidenceChanges:
    """Probability of each image's class, before and after the image is masked by its heatmap.

    Attributes:
        clean: Probability for the unchanged image.
        masked: Probability for the masked image.
    """

    clean: Float[Tensor, "n"]
    masked: Float[Tensor, "n"]

    @property
    def drop(self) -> Float[Tensor, "n"]:
        """Return ``max(0, clean - masked) / clean``, in [0, 1]; the mean is "average drop"."""
        return (self.clean - self.masked).clamp(min=0) / self.clean

    @property
    def increase(self) -> Float[Tensor, "n"]:
        """Return 1 where ``masked > clean``, else 0; the mean is "increase in confidence"."""
        return (self.masked > self.clean).float()


def confidence_changes(explained: Explained, heatmaps: Heatmaps) -> ConfidenceChanges:
    """Compare the probability of each image with that of the image masked by its heatmap.

    Chattopadhay et al. 2018 (Grad-CAM++, arXiv 1710.11063), section 4.1: the explanation map is
    the product of the normalised image with the heatmap over its maximum, in pixels
    ``mean + (images - mean) * heatmap / max(heatmap)``. A heatmap of zeros masks the whole image.

    Args:
        explained: Images, classes and model.
        heatmaps: At least 0, on any scale and at any resolution.

    Returns:
        Both probabilities, with drop and increase.

    Cost: one forward pass for each image, in addition to that of the clean image.
    """
    images = explained.images
    maps = upsample(heatmaps.float(), explained.size)
    peak = maps.amax((1, 2), keepdim=True)
    shares = (maps / peak.where(peak > 0, 1)).to(images)
    mean = explained.model.mean.to(images)

    def draw(rows: Int[Tensor, "m"], _: Int[Tensor, "m"]) -> Float[Tensor, "m ch h w"]:
        return torch.lerp(mean, images[rows], shares[rows][:, None])

    masked = explained.predict(1, draw)
    clean = explained.clean.predictions
    return ConfidenceChanges(clean.probabilities[:, 0], masked.probabilities[:, 0])
