"""Substrates: images that replace removed pixels."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from torch.nn import functional as F

from ectool.models.classifier import Classifier

Images = Float[Tensor, "n ch h w"]

_BLUR_SIDE, _BLUR_SIGMA = 11, 5.0


def mean_colour(model: Classifier, images: Images) -> Images:
    """Return images of the mean that the model subtracts: zero in the input of the network."""
    return model.mean.to(images).expand_as(images)


def blurred(model: Classifier, images: Images) -> Images:
    """Blur images as the authors of RISE do for insertion.

    ``mean + G * (x - mean)``, G their kernel of 11 x 11 pixels (``gkern(11, 5)``: a Gaussian of 5
    pixels folded back at the kernel's edges), padded with zeros. The blur is linear, so it equals
    the authors' blur of normalised images. The kernel has this size for images of any size.

    Args:
        model: Its mean colour is the padding.
        images: RGB in [0, 1].

    Returns:
        Blurred images.
    """
    delta = np.zeros(_BLUR_SIDE)
    delta[_BLUR_SIDE // 2] = 1
    line = torch.from_numpy(gaussian_filter1d(delta, _BLUR_SIGMA)).to(images)
    mean = model.mean.to(images)
    channels, reach = images.shape[1], _BLUR_SIDE // 2
    planes = images - mean
    for shape, padding in (((1, 1, -1, 1), (reach, 0)), ((1, 1, 1, -1), (0, reach))):
        kernel = line.view(shape).expand(channels, -1, -1, -1)
        planes = F.conv2d(planes, kernel, padding=padding, groups=channels)
    return planes + mean
