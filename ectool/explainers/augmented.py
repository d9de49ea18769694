"""Smooth heatmaps over slight changes of the image."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ectool.explainers.base import Explainer, Explanation, Targets
from ectool.models.classifier import Classifier

CONTRASTS = (1.0, 0.9, 1.1)


class Augmented:
    """Average an explainer's heatmaps over mirrored images of three contrasts.

    ``x' = mean + contrast (x - mean)`` about the model's mean colour, for contrasts 1, 0.9 and 1.1,
    each also mirrored, whose maps are mirrored back: the six transforms of pytorch-grad-cam's
    ``aug_smooth``. Deviation: raw maps are averaged, theirs are scaled to [0, 1] before.

    Args:
        model: The classifier.
        explainer: Explains it.
    """

    def __init__(self, model: Classifier, explainer: Explainer) -> None:
        self.model = model
        self.explainer = explainer

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; see :class:`ectool.explainers.base.Explainer`.

        Returns:
            Averaged heatmaps, and the logits of the images as they are.

        Cost: six times that of the method.
        """
        plain = self.explainer(images, targets)
        if targets is None:
            targets = plain.logits.argmax(1)
        total = plain.heatmaps.clone()
        for contrast in CONTRASTS:
            changed = self.model.mean + contrast * (images - self.model.mean)
            if contrast != 1:
                total += self.explainer(changed, targets).heatmaps
            total += self.explainer(changed.flip(3), targets).heatmaps.flip(-1)
        return Explanation(total / (2 * len(CONTRASTS)), plain.logits)
