"""Average drop and increase: what the model thinks of the picture seen through its heatmap."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ectool.faithfulness.answers import ask
from ectool.faithfulness.regions import Heatmaps, upsample
from ectool.faithfulness.substrates import Images
from ectool.models.classifier import Classifier


@dataclass(frozen=True)
class ConfidenceChanges:
    """Probability of each picture's class, with and without what its heatmap hides.

    Attributes:
        clean: Of the picture as it is.
        explained: Of the picture seen through the heatmap.
    """

    clean: Float[Tensor, "n"]
    explained: Float[Tensor, "n"]

    @property
    def drop(self) -> Float[Tensor, "n"]:
        """Return ``max(0, clean - explained) / clean``, in [0, 1]; the mean is "average drop"."""
        return (self.clean - self.explained).clamp(min=0) / self.clean

    @property
    def increase(self) -> Float[Tensor, "n"]:
        """Return 1 where ``explained > clean``, else 0; the mean is "increase in confidence"."""
        return (self.explained > self.clean).float()


def confidence_changes(
    model: Classifier, images: Images, heatmaps: Heatmaps, targets: Int[Tensor, "n"]
) -> ConfidenceChanges:
    """Compare the picture with itself seen through its heatmap.

    Chattopadhay et al. 2018 (Grad-CAM++, arXiv 1710.11063), section 4.1: the explanation map is
    the product of the normalised picture with the heatmap over its maximum, in pixels
    ``mean + (images - mean) * heatmap / max(heatmap)``. A heatmap of zeros hides all.

    Args:
        model: The classifier, left as found.
        images: RGB in [0, 1], on the model's device.
        heatmaps: At least 0, on any scale and at any resolution.
        targets: The class of each picture; of several labels each is a row of its own.

    Returns:
        Both probabilities, and what follows from them.

    Cost: 2 forward passes for each picture.
    """
    maps = upsample(heatmaps, (images.shape[2], images.shape[3]))
    peak = maps.amax((1, 2), keepdim=True)
    shares = maps / peak.where(peak > 0, 1)
    visible = torch.stack([torch.ones_like(shares), shares], 1).to(images)
    mean = model.mean.to(images)

    def draw(rows: Int[Tensor, "m"], versions: Int[Tensor, "m"]) -> Float[Tensor, "m ch h w"]:
        return torch.lerp(mean, images[rows], visible[rows, versions][:, None])

    clean, explained = ask(model, images, 2, draw, targets).probabilities.unbind(1)
    return ConfidenceChanges(clean, explained)
