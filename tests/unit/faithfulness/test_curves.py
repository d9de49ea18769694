from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F

from ectool.errors import InputError
from ectool.faithfulness.curves import deletion, insertion, pixel_flipping
from ectool.faithfulness.predictions import Explained
from ectool.metrics.curves import area_over_curve, area_under_curve


@pytest.fixture
def passes(model):
    """Return a list that receives the number of images of every forward pass."""
    rows: list[int] = []
    handle = model.register_forward_hook(lambda _m, _a, output: rows.append(len(output)))
    yield rows
    handle.remove()


def causal_metric(model, image, heatmap, target, mode, step):
    """Redo the authors' `CausalMetric.single_run` on a normalised image."""
    pixels = image.shape[1] * image.shape[2]
    normalised = ((image - model.mean) / model.std)[None]
    impulse = np.zeros((11, 11))
    impulse[5, 5] = 1
    kernel = torch.zeros(3, 3, 11, 11)
    for channel in range(3):
        kernel[channel, channel] = torch.from_numpy(gaussian_filter(impulse, 5))
    if mode == "del":
        start, finish = normalised.clone(), torch.zeros_like(normalised)
    else:
        start, finish = F.conv2d(normalised, kernel, padding=5), normalised
    order = np.flip(np.argsort(heatmap.flatten().numpy()))
    scores = []
    for point in range((pixels + step - 1) // step + 1):
        scores.append(model.network(start).softmax(1)[0, target].item())
        chosen = order[step * point : step * (point + 1)].copy()
        start.view(3, pixels)[:, chosen] = finish.reshape(3, pixels)[:, chosen]
    curve = np.array(scores)
    return curve, (curve.sum() - curve[0] / 2 - curve[-1] / 2) / (len(curve) - 1)


@pytest.mark.parametrize(("measure", "mode"), [(deletion, "del"), (insertion, "ins")])
def test_the_protocol_of_rise(measure, mode, explained, model, images, heatmaps, targets):
    curves = measure(explained, heatmaps, steps=12)
    assert curves.probabilities.std(1).min() > 1e-3
    for row in range(len(images)):
        expected, auc = causal_metric(
            model, images[row], heatmaps[row], int(targets[row]), mode, 16 * 24 // 12
        )
        np.testing.assert_allclose(curves.probabilities[row], expected, atol=1e-5)
        area = area_under_curve(curves.probabilities.double().numpy())
        assert area[row] == pytest.approx(auc, abs=1e-5)


def test_insertion_ends_and_deletion_begins_with_the_image(
    explained, model, images, heatmaps, targets
):
    predicted = model(images).softmax(1)
    clean = predicted.gather(1, targets[:, None])[:, 0]
    into = insertion(explained, heatmaps, steps=7)  # 7 does not divide the pixels
    out = deletion(explained, heatmaps, steps=7)
    torch.testing.assert_close(into.probabilities[:, -1], clean)
    torch.testing.assert_close(out.probabilities[:, 0], clean)
    assert torch.equal(out.correct[:, 0], predicted.argmax(1) == targets)
    assert out.shares[[0, -1]].tolist() == [0, 1]


def test_deletion_to_another_colour(explained, model, images, heatmaps, targets):
    curves = deletion(explained, heatmaps, steps=2, substrate=torch.zeros_like(images))
    expected = model(torch.zeros_like(images)).softmax(1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(curves.probabilities[:, -1], expected)


@pytest.mark.parametrize("patch", [1, 5])
def test_pixel_flipping_redone_patch_by_patch(patch, explained, model, images, heatmaps, targets):
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(0))
    coarse = heatmaps if patch == 1 else heatmaps[:, :4, :6]
    relevance = F.interpolate(coarse[:, None], (16, 24), mode="bilinear")[:, 0]
    curves = pixel_flipping(explained, coarse, patch=patch, steps=6, substrate=noise)
    for row in range(len(images)):
        corners = [(y, x) for y in range(0, 16, patch) for x in range(0, 24, patch)]
        means = [relevance[row, y : y + patch, x : x + patch].mean().item() for y, x in corners]
        image, expected = images[row].clone(), []
        for place in [None, *np.argsort(means)[::-1][:6]]:
            if place is not None:
                y, x = corners[place]
                hidden = (slice(None), slice(y, y + patch), slice(x, x + patch))
                image[hidden] = noise[row][hidden]
            expected.append(model(image[None]).softmax(1)[0, targets[row]].item())
        np.testing.assert_allclose(curves.probabilities[row], expected, atol=1e-5)
        aopc = np.mean([expected[0] - value for value in expected])
        area = area_over_curve(curves.probabilities.double().numpy())
        assert area[row] == pytest.approx(aopc, abs=1e-5)


def test_no_more_patches_are_flipped_than_there_are(explained, model, images, heatmaps, targets):
    curves = pixel_flipping(explained, heatmaps, patch=12, steps=100)
    assert curves.shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    grey = model(model.mean.expand_as(images)).softmax(1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(curves.probabilities[:, -1], grey)


@pytest.mark.parametrize("patch", [0, 17])
def test_a_patch_fits_into_the_image(patch, explained, heatmaps):
    with pytest.raises(InputError, match="patch: expected 1 to 16 pixels"):
        pixel_flipping(explained, heatmaps, patch=patch)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_size_of_a_pass_changes_nothing(
    size, explained, model, images, heatmaps, targets, passes, monkeypatch
):
    expected = deletion(Explained(model, images, targets), heatmaps, steps=5)
    monkeypatch.setattr("ectool.faithfulness.predictions.pass_size", lambda _: size)
    passes.clear()
    found = deletion(explained, heatmaps, steps=5)
    torch.testing.assert_close(found.probabilities, expected.probabilities)
    assert sum(passes) == 5 * 6
    assert max(passes) <= size


def test_what_curves_share_is_predicted_once(explained, heatmaps, passes):
    for maps in (heatmaps, heatmaps.flip(0)):
        passes.clear()
        deletion(explained, maps, steps=4)
        insertion(explained, maps, steps=4)
        pixel_flipping(explained, maps, patch=8)  # 6 patches
    assert sum(passes) == 5 * (3 + 3 + 5)


@pytest.mark.parametrize("steps", [1, 500])
def test_any_number_of_steps(steps, explained, heatmaps):
    curves = deletion(explained, heatmaps, steps=steps)
    assert curves.probabilities.shape == (5, steps + 1)
    ends = torch.cat([explained.clean.predictions.probabilities] * 2, 1)
    ends[:, 1] = explained.mean_coloured.predictions.probabilities[:, 0]
    assert torch.equal(curves.probabilities[:, [0, -1]], ends)


def test_as_many_steps_as_in_the_authors_evaluation(explained, heatmaps):
    curves = insertion(explained, heatmaps)
    torch.testing.assert_close(curves.shares, torch.arange(29) / 28)


def test_images_do_not_depend_on_each_other(explained, model, images, heatmaps, targets):
    together = insertion(explained, heatmaps, steps=4)
    last = Explained(model, images[3:4], targets[3:4])
    alone = insertion(last, heatmaps[3:4], steps=4)
    torch.testing.assert_close(together.probabilities[3:4], alone.probabilities)


def test_only_the_order_of_the_pixels_matters(explained, heatmaps):
    expected = deletion(explained, heatmaps, steps=6)
    found = deletion(explained, 8 * heatmaps**3 - 1, steps=6)
    torch.testing.assert_close(found.probabilities, expected.probabilities)


def test_the_model_is_left_as_found(explained, model, heatmaps):
    model.train()
    try:
        deletion(explained, heatmaps, steps=1)
        assert all(module.training for module in model.modules())
    finally:
        model.eval()
