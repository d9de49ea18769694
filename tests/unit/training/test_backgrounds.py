from __future__ import annotations

import numpy as np
import torch

from ectool.training.backgrounds import gradient_background, swap_backgrounds


def test_the_background_contributes_least():
    pixels = torch.full((1, 3, 8, 8), 0.5)
    gradient = torch.zeros_like(pixels)
    gradient[0, 1, 2:4, 5:7] = torch.tensor([[3.0, -2.0], [-1.0, 4.0]])
    background = gradient_background(pixels, gradient, 0.5, 0.0)
    assert (~background).nonzero().tolist() == [[0, 2, 5], [0, 2, 6], [0, 3, 5], [0, 3, 6]]
    smoothed = gradient_background(pixels, gradient, 0.75, 1 / 8)
    assert background[smoothed].all()
    assert 0.74 < smoothed.float().mean() < 0.8


def test_backgrounds_are_swapped_and_objects_are_not():
    draw = torch.Generator().manual_seed(0)
    pixels = torch.rand(3, 3, 4, 5, generator=draw)
    background = torch.rand(3, 4, 5, generator=draw) < 0.6
    background[2] = True
    order = torch.tensor([2, 0, 1])
    found = swap_backgrounds(pixels, background, order)
    for image, (mask, other) in enumerate(zip(background, order.tolist(), strict=True)):
        for at in np.ndindex(4, 5):
            expected = pixels[(image, slice(None), *at)]
            if mask[at] and not mask.all():
                own = background[other]
                means = pixels[other][:, own].mean(1)
                expected = pixels[(other, slice(None), *at)] if own[at] else means
            torch.testing.assert_close(found[(image, slice(None), *at)], expected)
