from __future__ import annotations

import torch

from ectool.faithfulness.substrates import blurred, mean_colour


def test_the_mean_colour_is_zero_to_the_network(model, images):
    grey = mean_colour(model, images)
    assert grey.shape == images.shape
    assert ((grey - model.mean) / model.std == 0).all()


def test_a_blur_of_the_mean_colour_is_the_mean_colour(model, images):
    grey = mean_colour(model, images)
    torch.testing.assert_close(blurred(model, grey), grey)
    assert blurred(model, images).std() < 0.3 * images.std()
