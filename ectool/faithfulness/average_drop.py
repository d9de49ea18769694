"""Average drop and increase: what the model thinks of the image seen through its heatmap."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ectool.faithfulness.answers import Explained
from ectool.faithfulness.regions import Heatmaps
from ectool.models.interpolation import upsample


@dataclass(frozen=True)
class ConfidenceChanges:
    """Probability of each image's class, with and without what its heatmap hides.

    Attributes:
        clean: Of the image as it is.
        masked: Of the image seen through the heatmap.
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
    """Compare the image with itself seen through its heatmap.

    Chattopadhay et al. 2018 (Grad-CAM++, arXiv 1710.11063), section 4.1: the explanation map is
    the product of the normalised image with the heatmap over its maximum, in pixels
    ``mean + (images - mean) * heatmap / max(heatmap)``. A heatmap of zeros hides all.

    Args:
        explained: Images, classes and model.
        heatmaps: At least 0, on any scale and at any resolution.

    Returns:
        Both probabilities, and what follows from them.

    Cost: a forward pass for each image besides that of the clean one.
    """
    images = explained.images
    maps = upsample(heatmaps.float(), explained.size)
    peak = maps.amax((1, 2), keepdim=True)
    shares = (maps / peak.where(peak > 0, 1)).to(images)
    mean = explained.model.mean.to(images)

    def draw(rows: Int[Tensor, "m"], _: Int[Tensor, "m"]) -> Float[Tensor, "m ch h w"]:
        return torch.lerp(mean, images[rows], shares[rows][:, None])

    masked = explained.ask(1, draw)
    clean = explained.clean.answers
    return ConfidenceChanges(clean.probabilities[:, 0], masked.probabilities[:, 0])
