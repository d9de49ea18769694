"""Score-CAM: channels weighted by the logits of images masked with them."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from ectool.explainers.base import Explanation, Targets, choose_targets
from ectool.explainers.cam.reductions import weighted_map
from ectool.explainers.cut import run_forward
from ectool.explainers.masked_passes import fade, score_pairs
from ectool.models.classifier import Classifier
from ectool.models.modes import frozen, graph_free

# As in pytorch-grad-cam: avoids a division by nearly 0 for a nearly constant channel.
_EPSILON = 1e-8


class ScoreCAM:
    """Score-CAM (Wang et al. 2020, arXiv 1910.01279) at a classifier's target layer.

    ``heatmap = relu(sum_c w_c A_c)``, ``w = softmax_c(f_y(x * H_c))``, with A the target layer's
    activations, ``H_c = (U_c - min U_c) / (max U_c - min U_c)`` of the upsampled ``U_c`` and f the
    logits. The product is with the normalised image x, so masked pixels get the mean colour of the
    model. The paper first subtracts the logit of a blank image, which does not change the softmax.
    Upsampling is bilinear with aligned corners, as in pytorch-grad-cam. Deviations from it: a
    constant channel always has an all-zero mask, and the map is neither scaled to [0, 1] nor
    upsampled.

    Args:
        model: The classifier; each call restores its modes, gradients and hooks.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; the arguments are those of :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps on the raw scale at the layer's resolution, and the logits.

        Cost: one forward pass, and one for each channel that is not constant, for any k.
        Memory: that of one pass of :func:`~ectool.models.memory.pass_size` images, plus the
        activations of the batch.
        """
        activations, logits = run_forward(self.model, images)
        classes = choose_targets(logits, targets)
        scores = self._scores(images, activations, classes.view(len(classes), -1))
        weights = scores.softmax(1).transpose(1, 2)
        return Explanation(weighted_map(weights, activations, classes), logits)

    def _scores(
        self,
        images: Float[Tensor, "n ch h w"],
        activations: Float[Tensor, "n c i j"],
        classes: Int[Tensor, "n k"],
    ) -> Float[Tensor, "n c k"]:
        """Return the target logits of the image masked with each channel."""

        def draw(image: Tensor, channel: Tensor) -> Tensor:
            return channel_masks(activations[image, channel], (images.shape[2], images.shape[3]))

        varies = activations.amax((2, 3)) > activations.amin((2, 3))
        pairs = (varies & (classes >= 0).any(1, keepdim=True)).nonzero()
        # The logits for a constant channel, which masks the whole image.
        blank = fade(self.model, images[:1], images.new_zeros(1, *images.shape[2:]))
        with graph_free(), frozen(self.model):
            constant: Tensor = self.model(blank)[0].float()[classes.clamp(min=0)]
        scores = constant[:, None].repeat(1, activations.shape[1], 1)
        scores[pairs[:, 0], pairs[:, 1]] = score_pairs(self.model, images, pairs, draw, classes)
        return scores


def channel_masks(
    channels: Float[Tensor, "m i j"], size: tuple[int, int]
) -> Float[Tensor, "m height width"]:
    """Upsample activations, then scale each map to [0, 1]: ``(U - min U) / (max U - min U)``.

    Args:
        channels: One channel each, of any floating-point dtype.
        size: (height, width) of the masks in pixels.

    Returns:
        float32 masks.
    """
    maps = channels[:, None].float()
    masks = F.interpolate(maps, size, mode="bilinear", align_corners=True)[:, 0]
    minimum = masks.amin((1, 2), keepdim=True)
    span = masks.amax((1, 2), keepdim=True) - minimum
    return masks.sub_(minimum).div_(span + _EPSILON)
