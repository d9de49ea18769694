"""SmoothGrad: the mean gradient over noisy copies of the image."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from ectool.explainers.base import Explanation, Targets
from ectool.explainers.gradient.reductions import max_magnitude
from ectool.explainers.gradients import explain_each, pixel_gradient
from ectool.models.classifier import Classifier
from ectool.seeding import stream


class SmoothGrad:
    """SmoothGrad (Smilkov et al. 2017, arXiv 1706.03825) at the pixels.

    ``heatmap = max_c |mean_t d logits[y](x + sigma * z_t) / d x_c|``, ``z_t ~ N(0, 1)``,
    ``sigma = noise * (max x - min x)``. As in the paper, the range is that of each image, and noisy
    pixels may leave [0, 1]. Deviation: the draws z_t depend only on the seed and are the same for
    all images. So a map depends on neither batch nor order, and the maps of a clean and of a
    perturbed image differ only because of the images.

    Args:
        model: The classifier; each call restores its modes, gradients and hooks.
        passes: Number of noisy copies, at least 1.
        noise: Standard deviation of the noise as a share of the image's range, at least 0.
        seed: Seed of the draws.
    """

    def __init__(
        self, model: Classifier, *, passes: int = 50, noise: float = 0.15, seed: int = 0
    ) -> None:
        self.model = model
        self.passes = passes
        self.noise = noise
        self.seed = seed

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; the arguments are those of :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps on the raw scale at the pixels, and the logits of the clean images.

        Raises:
            InputError: The network is not differentiable.

        Cost: one forward pass, and ``passes`` forward and backward passes per column with a target.
        Memory: that of one pass and four copies of the batch, for any ``passes``.
        """

        def draw(rows: Tensor, classes: Tensor) -> Tensor:
            return max_magnitude(
                smooth_gradient(
                    self.model, rows, classes, passes=self.passes, noise=self.noise, seed=self.seed
                )
            )

        return explain_each(self.model, images, targets, draw)


def smooth_gradient(
    model: Classifier,
    images: Float[Tensor, "n ch h w"],
    classes: Int[Tensor, "n"],
    *,
    passes: int,
    noise: float,
    seed: int,
) -> Float32[Tensor, "n ch h w"]:
    """Return the mean gradient of noisy copies, signed and per channel.

    Args:
        model: The classifier; its state is restored.
        images: RGB in [0, 1].
        classes: One class per image; -1 means no class.
        passes: Number of noisy copies, at least 1; fewer copies use the first draws.
        noise: Standard deviation of the noise as a share of the image's range.
        seed: Seed of the draws.

    Returns:
        The attribution.

    Cost: ``passes`` forward and backward passes.
    """
    pixels = images.float()
    sigma = noise * (pixels.amax((1, 2, 3), keepdim=True) - pixels.amin((1, 2, 3), keepdim=True))
    draws = stream(seed, "smoothgrad")
    total = torch.zeros_like(pixels)
    for _ in range(passes):
        draw = draws.standard_normal(images.shape[1:], dtype=np.float32)
        noisy = torch.addcmul(pixels, sigma, torch.from_numpy(draw).to(pixels.device))
        total += pixel_gradient(model, noisy.to(images.dtype), classes)
    return total.div_(passes)
