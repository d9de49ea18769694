"""What all explainers that differentiate with respect to the pixels owe their callers."""

from __future__ import annotations

import pytest
import torch
from rectified_networks import SIZE, rectified
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.explainers.gradient.excitation_backprop import ExcitationBackprop
from ectool.explainers.gradient.full_grad import FullGrad
from ectool.explainers.gradient.guided_backprop import GuidedBackprop
from ectool.explainers.gradient.input_gradient import InputXGradient
from ectool.explainers.gradient.integrated_gradients import IntegratedGradients
from ectool.explainers.gradient.smooth_grad import SmoothGrad
from ectool.models.classifier import Classifier

METHODS = {
    "inputxgradient": InputXGradient,
    "integratedgradients": lambda model: IntegratedGradients(model, passes=3),
    "smoothgrad": lambda model: SmoothGrad(model, passes=2),
    "guidedbackprop": GuidedBackprop,
    "fullgrad": FullGrad,
    "excitationbackprop": ExcitationBackprop,
}
COLUMNS = torch.tensor([[0, 3], [2, -1], [-1, -1], [-1, 4], [1, 1]])


@pytest.fixture(params=METHODS)
def method(request):
    return METHODS[request.param]


@pytest.fixture
def images():
    return torch.rand(5, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def state(model: Classifier) -> list[object]:
    modules, parameters = list(model.modules()), list(model.parameters())
    found: list[object] = [(m.training, len(m._forward_hooks)) for m in modules]
    found += [(p.requires_grad, None if p.grad is None else p.grad.tolist()) for p in parameters]
    return found + [value.tolist() for value in model.state_dict().values()]


def assert_near(found: Tensor, expected: Tensor) -> None:
    scale = expected.max().item()
    assert scale > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * scale)


def test_several_targets_are_explained_as_each_alone(images, method):
    explain = method(rectified())
    found = explain(images, COLUMNS)
    assert found.heatmaps.dtype == torch.float32
    assert (found.heatmaps >= 0).all()
    assert not found.heatmaps.requires_grad
    assert not found.logits.requires_grad
    for column in range(2):
        expected = explain(images, COLUMNS[:, column].clamp(min=0)).heatmaps
        expected[COLUMNS[:, column] < 0] = 0
        assert_near(found.heatmaps[:, column], expected)
        assert_near(explain(images, COLUMNS[:, column]).heatmaps, expected)
    assert not explain(images[:2], torch.full((2, 3), -1)).heatmaps.any()


def test_the_predicted_class_is_the_default(images, method):
    model = rectified()
    found = method(model)(images)
    assert_near(found.heatmaps, method(model)(images, found.logits.argmax(1)).heatmaps)
    with torch.no_grad():
        torch.testing.assert_close(found.logits, model.eval()(images))


def test_rows_do_not_influence_each_other(images, method):
    explain = method(rectified())
    expected = explain(images, COLUMNS[:, 0]).heatmaps
    assert_near(explain(images.flip(0), COLUMNS[:, 0].flip(0)).heatmaps.flip(0), expected)
    assert_near(explain(images[4:], COLUMNS[4:, 0]).heatmaps, expected[4:])
    channels_last = images.to(memory_format=torch.channels_last)
    assert_near(explain(channels_last, COLUMNS[:, 0]).heatmaps, expected)


def test_inference_mode_and_no_grad_do_not_matter(images, method):
    explain = method(rectified())
    expected = explain(images).heatmaps
    with torch.inference_mode():
        assert_near(explain(images.clone()).heatmaps, expected)
        assert torch.is_inference_mode_enabled()
    with torch.no_grad():
        assert_near(explain(images).heatmaps, expected)


def test_the_model_is_left_as_found(images, method):
    model = rectified()
    seen: list[Tensor] = []
    model.network.head.register_forward_hook(lambda *arguments: seen.append(arguments[2]))
    model.network.block.eval()
    model.network.head.bias.requires_grad_(False)
    model.network.stem.weight.grad = torch.ones_like(model.network.stem.weight)
    before, clean = state(model), images.clone()
    method(model)(images, COLUMNS)
    assert state(model) == before
    assert torch.equal(images, clean)
    assert seen

    def fail(*_arguments: object) -> None:
        raise RuntimeError("stop")

    handle = model.network.head.register_forward_hook(fail)
    before = state(model)
    with pytest.raises(RuntimeError, match="stop"):
        method(model)(images)
    assert state(model) == before
    assert torch.is_grad_enabled()
    handle.remove()
    method(model)(images)


def test_half_precision_networks_are_explained(images, method):
    model = rectified()
    expected = method(model)(images, COLUMNS[:, 0]).heatmaps
    model.network.bfloat16()
    found = method(model)(images, COLUMNS[:, 0]).heatmaps
    assert found.dtype == torch.float32
    norms = found.norm() * expected.norm()
    assert (found * expected).sum() / norms > 0.98


def test_constant_images_have_finite_maps(method):
    explain = method(rectified())
    for value in (0.0, 0.5, 1.0):
        assert explain(torch.full((2, 3, *SIZE), value)).heatmaps.isfinite().all()


class Detach(nn.Module):
    """A step that autograd cannot see through."""

    def forward(self, values: Tensor) -> Tensor:
        return values.detach()


@pytest.mark.parametrize("name", METHODS)
def test_heads_without_a_gradient_are_refused(images, name):
    model = rectified()
    model.network.head = nn.Sequential(model.network.head, Detach())
    with pytest.raises(InputError, match=r"^model: expected logits with a gradient"):
        METHODS[name](model)(images)


@pytest.mark.parametrize(
    ("name", "is_explained"),
    [
        ("inputxgradient", True),
        ("integratedgradients", True),
        ("smoothgrad", True),
        ("guidedbackprop", False),
        ("fullgrad", False),
    ],
)
def test_programs_that_show_no_layers(images, name, is_explained):
    model = rectified().eval()
    expected = METHODS[name](model)(images).heatmaps
    model.network = torch.jit.trace(model.network, images)
    if is_explained:
        assert_near(METHODS[name](model)(images).heatmaps, expected)
        return
    with pytest.raises(InputError, match=r"^model tiny: expected a network"):
        METHODS[name](model)(images)
