from __future__ import annotations

import torch

from ectool.faithfulness.substrates import black, blurred, mean_colour, uniform_noise


def test_the_mean_colour_is_zero_to_the_network(model, images):
    grey = mean_colour(model, images)
    assert grey.shape == images.shape
    assert ((grey - model.mean) / model.std == 0).all()
    assert (black(images) == 0).all()


def test_a_blur_of_the_mean_colour_is_the_mean_colour(model, images):
    grey = mean_colour(model, images)
    torch.testing.assert_close(blurred(model, grey), grey)
    assert blurred(model, images).std() < 0.3 * images.std()


def test_noise_belongs_to_the_sample(images, sample_ids):
    noise = uniform_noise(images, sample_ids, 0)
    assert torch.equal(uniform_noise(images[2:], sample_ids[2:], 0), noise[2:])
    assert not torch.equal(uniform_noise(images, sample_ids, 1), noise)
    assert 0.45 < noise.mean() < 0.55
