"""What all explainers that perturb owe their callers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ectool.explainers.cam.ablation_cam import AblationCAM
from ectool.explainers.cam.score_cam import ScoreCAM
from ectool.explainers.masking.occlusion import Occlusion
from ectool.explainers.masking.rise import RISE
from ectool.models.classifier import Classifier

METHODS = {
    "ablationcam": AblationCAM,
    "scorecam": ScoreCAM,
    "occlusion": lambda model: Occlusion(model, window=4, stride=4),
    "rise": lambda model: RISE(model, passes=6),
}
COLUMNS = torch.tensor([[0, 3], [2, -1], [-1, -1], [-1, 4], [1, 1], [4, 0], [2, 3]])


def state(model: Classifier) -> list[object]:
    modules, parameters = list(model.modules()), list(model.parameters())
    found: list[object] = [
        (m.training, len(m._forward_hooks), "forward" in vars(m)) for m in modules
    ]
    found += [(p.requires_grad, None if p.grad is None else p.grad.tolist()) for p in parameters]
    return found + [value.tolist() for value in model.state_dict().values()]


def assert_near(found: Tensor, expected: Tensor) -> None:
    assert expected.any()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(params=METHODS)
def method(request):
    return METHODS[request.param]


def test_several_targets_are_explained_as_each_alone(make, images, method):
    explain = method(make("deep"))
    found = explain(images, COLUMNS)
    for column in range(2):
        expected = explain(images, COLUMNS[:, column].clamp(min=0)).heatmaps
        expected[COLUMNS[:, column] < 0] = 0
        assert_near(found.heatmaps[:, column], expected)
    assert found.heatmaps.dtype == torch.float32
    assert (found.heatmaps >= 0).all()
    assert not explain(images[:2], torch.full((2, 3), -1)).heatmaps.any()


def test_the_predicted_class_is_the_default(make, images, method):
    explain = method(make("deep"))
    found = explain(images)
    assert_near(found.heatmaps, explain(images, found.logits.argmax(1)).heatmaps)


@pytest.mark.parametrize("kind", ["pooled", "deep"])
def test_rows_do_not_influence_each_other(make, images, method, kind):
    explain = method(make(kind))
    expected = explain(images, COLUMNS).heatmaps
    assert_near(explain(images.flip(0), COLUMNS.flip(0)).heatmaps.flip(0), expected)
    assert_near(explain(images[4:5], COLUMNS[4:5]).heatmaps, expected[4:5])


def test_memory_formats_give_the_same_maps(make, images, method):
    explain = method(make("in-place"))
    expected = explain(images, COLUMNS).heatmaps
    found = explain(images.to(memory_format=torch.channels_last), COLUMNS).heatmaps
    assert_near(found, expected)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_model_and_the_gradient_mode_stay_as_found(make, images, method, mode):
    model = make("in-place").train()
    model.network.trunk.register_forward_hook(lambda *_: None)
    model.network.head[2].weight.requires_grad_(False)
    before, explain = state(model), method(model)
    with mode():
        recording = torch.is_grad_enabled()
        found = explain(images.clone(), COLUMNS)
        assert torch.is_grad_enabled() == recording
    assert not found.heatmaps.requires_grad
    assert state(model) == before


def test_the_model_stays_as_found_after_an_exception(make, images, method):
    model = make("deep").train()
    explain = method(model)
    explain(images[:1])
    calls = 0

    def fail(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("stop")

    hook = model.network.head.register_forward_hook(fail)
    before = state(model)
    with pytest.raises(RuntimeError, match="stop"):
        explain(images, COLUMNS)
    assert state(model) == before
    hook.remove()


def test_half_precision_gives_float32_maps(make, images, method):
    expected = method(make("deep"))(images, COLUMNS).heatmaps
    found = method(make("deep").bfloat16())(images.bfloat16(), COLUMNS).heatmaps
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=0.1 * float(expected.max()))


@pytest.mark.parametrize("size", [(8, 12), (3, 3)])
def test_constant_images_and_maps_of_one_pixel_are_finite(make, method, size):
    model = make("deep")
    images = torch.full((1, 3, *size), 0.5)  # the mean colour: nothing changes it
    explain = method(model)
    if isinstance(explain, Occlusion):
        explain.window, explain.stride = 3, 3
    found = explain(images, torch.tensor([1])).heatmaps
    assert found.isfinite().all()
    if isinstance(explain, Occlusion):
        torch.testing.assert_close(found, torch.zeros_like(found), rtol=0, atol=1e-6)
