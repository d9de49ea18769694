from __future__ import annotations

import captum.attr
import pytest
import torch
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.explainers.masking.occlusion import Occlusion, occlude
from ectool.models.classifier import Classifier


def oracle(model: Classifier, image: Tensor, target: int, window: int, stride: int) -> Tensor:
    """Average the drop over all windows that hide a pixel, one window at a time."""
    height, width = image.shape[1:]
    total, count = torch.zeros(height, width), torch.zeros(height, width)
    clean = model(image[None])[0, target]
    for top in range(0, height - window + stride, stride):
        for left in range(0, width - window + stride, stride):
            place = (slice(top, top + window), slice(left, left + window))
            hidden = image.clone()
            hidden[:, *place] = model.mean.expand_as(hidden)[:, *place]
            total[place] += clean - model(hidden[None])[0, target]
            count[place] += 1
    return total / count


SIZES = [(3, 2), (4, 4), (8, 5), (1, 1), (5, 1)]


@pytest.mark.parametrize(("window", "stride"), SIZES[:3])
def test_agrees_with_the_definition(make, images, targets, window, stride):
    model = make("deep").eval().requires_grad_(False)
    explanation = Occlusion(model, window=window, stride=stride)(images[:2], targets[:2])
    expected = [
        oracle(model, image, target, window, stride).clamp(min=0)
        for image, target in zip(images[:2], targets[:2].tolist(), strict=True)
    ]
    torch.testing.assert_close(explanation.heatmaps, torch.stack(expected), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(explanation.logits, model(images[:2]))


@pytest.mark.parametrize(("window", "stride"), SIZES)
def test_captum(make, images, targets, window, stride):
    model = make("deep").eval()
    with torch.no_grad():
        logits = model(images)
    drops = occlude(model, images, targets, logits, window=window, stride=stride)
    expected = captum.attr.Occlusion(model).attribute(
        images,
        target=targets,
        sliding_window_shapes=(3, window, window),
        strides=(3, stride, stride),
        baselines=model.mean.expand_as(images),
        perturbations_per_eval=8,
    )
    assert drops.min() < 0 < drops.max()
    for channel in range(3):
        torch.testing.assert_close(drops, expected[:, channel].detach(), rtol=0, atol=1e-5)


def test_what_the_model_cannot_see_counts_nothing(wrap, images):
    class Corner(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images[:, :, 2:3, 4:5]

    model = wrap(Corner(), nn.Sequential(nn.Flatten(), nn.Linear(3, 5)))
    with torch.no_grad():
        logits = model(images)
    drops = occlude(model, images, logits.argmax(1), logits, window=1, stride=1)
    assert drops[:, 2, 4].all()
    drops[:, 2, 4] = 0
    assert not drops.any()


def test_defaults_are_an_eighth_of_the_side_and_half_of_that(make):
    model = make("pooled")
    rows: list[int] = []
    model.register_forward_hook(lambda _m, _a, output: rows.append(len(output)))
    images = torch.rand(1, 3, 32, 48)
    found = Occlusion(model)(images, torch.tensor([0])).heatmaps
    assert found.shape == (1, 32, 48)
    assert sum(rows) == 1 + 15 * 23  # windows of 4 every 2 pixels
    torch.testing.assert_close(
        found, Occlusion(model, window=4, stride=2)(images, torch.tensor([0])).heatmaps
    )


@pytest.mark.parametrize(("window", "stride"), [(9, 1), (3, 4), (2, -1)])
def test_impossible_windows_are_refused(make, images, window, stride):
    with pytest.raises(InputError, match="stride <= window <= 8"):
        Occlusion(make("pooled"), window=window, stride=stride)(images)
