from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ectool.explainers import EXPLAINERS, Explanation, GradCAM
from ectool.explainers.cam.cam_rules import channel_sum
from ectool.explainers.cam.linear_head import pooled_linear_head
from ectool.explainers.cut import run_head_backward
from ectool.models.classifier import Classifier

LAYOUTS = ["nchw", "nhwc", "tokens", "cls_tokens"]
KINDS = ["pooled", "deep", "in-place"]
CHANNELS, CLASSES = 6, 5


def oracle(model: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Redo Grad-CAM by its definition, one image, channel and position at a time."""
    model = model.eval()
    heatmaps = []
    for image, target in zip(images, targets, strict=True):
        activations = model.network.trunk((image[None] - model.mean) / model.std)
        logits = model.network.head(activations.clone())
        (gradients,) = torch.autograd.grad(logits[0, target], activations)
        grid, slope = (
            model.target_layer.to_nchw(values.detach(), (image.shape[1], image.shape[2]))[0]
            for values in (activations, gradients)
        )
        channels, height, width = grid.shape
        heatmap = torch.zeros(height, width)
        for k in range(channels):
            alpha = sum(slope[k, i, j].item() for i in range(height) for j in range(width))
            for i in range(height):
                for j in range(width):
                    heatmap[i, j] += alpha / (height * width) * grid[k, i, j].item()
        heatmaps.append(heatmap.clamp(min=0))
    return torch.stack(heatmaps)


def assert_same(first: Tensor, second: Tensor, relative: float = 1e-4) -> None:
    """Compare to a share of the largest value, and make sure there is something to compare."""
    scale = second.abs().max().item()
    assert scale > 0
    torch.testing.assert_close(first, second, rtol=0, atol=relative * scale)


def state(model: Classifier) -> list[object]:
    modules, parameters = list(model.modules()), list(model.parameters())
    found: list[object] = [(m.training, len(m._forward_hooks)) for m in modules]
    found += [(p.requires_grad, None if p.grad is None else p.grad.tolist()) for p in parameters]
    return found + [value.tolist() for value in model.state_dict().values()]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_the_definition(make, images, targets, kind, layout):
    model = make(kind, layout)
    explanation = GradCAM(model)(images, targets)
    assert_same(explanation.heatmaps, oracle(model, images, targets), 1e-5)
    torch.testing.assert_close(explanation.logits, model.eval()(images))


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "tokens"])
def test_the_closed_form_is_found_and_equals_the_graph(make, images, targets, layout):
    model = make("pooled", layout)
    assert pooled_linear_head(model, images[:1]) is model.network.head[2]
    cut = run_head_backward(model, images, targets)
    by_graph = channel_sum(cut.activations, cut.gradients.mean((2, 3), keepdim=True)).relu()
    assert_same(GradCAM(model)(images, targets).heatmaps, by_graph, 1e-6)


def linear(bias: bool = True) -> nn.Linear:
    return nn.Linear(CHANNELS, CLASSES, bias=bias)


class Squash(nn.Module):
    """Like the identity but for large values."""

    def forward(self, activations: Tensor) -> Tensor:
        return activations.clamp(-20, 20)


POOLED = {
    "flatten": lambda: [nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear()],
    "no bias": lambda: [nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(bias=False)],
    "dropout": lambda: [nn.Dropout(0.9), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear()],
}
OTHER = {
    "rectified": lambda: [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear()],
    "clipped": lambda: [Squash(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear()],
    "maximum": lambda: [nn.AdaptiveMaxPool2d(1), nn.Flatten(), linear()],
    "normalised": lambda: [
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LayerNorm(CHANNELS),
        linear(),
    ],
    "two layers": lambda: [
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(CHANNELS, CHANNELS),
        linear(),
    ],
    "scaled logits": lambda: [
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        linear(),
        nn.Softmax(1),
    ],
    "no pooling": lambda: [nn.Flatten(), nn.Linear(CHANNELS * 24, CLASSES)],
}


@pytest.mark.parametrize("kind", POOLED)
def test_pooled_linear_heads_are_recognised(wrap, images, kind):
    model = wrap(nn.Conv2d(3, CHANNELS, 3, 2, 1), nn.Sequential(*POOLED[kind]()))
    assert pooled_linear_head(model, images[:1]) is model.network.head[-1]


@pytest.mark.parametrize("kind", OTHER)
def test_other_heads_are_not_mistaken(wrap, images, targets, kind):
    torch.manual_seed(0)
    # Activations are positive, so that what a kink does is hidden from the images themselves.
    trunk = nn.Sequential(nn.Conv2d(3, CHANNELS, 3, 2, 1), nn.Softplus())
    model = wrap(trunk, nn.Sequential(*OTHER[kind]()))
    assert pooled_linear_head(model, images[:1]) is None
    found, expected = GradCAM(model)(images, targets).heatmaps, oracle(model, images, targets)
    # Next to its largest value a map is exact; where terms cancel, less of a tiny value is.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.max()))


def test_a_way_around_the_layer_is_not_mistaken(wrap, images, targets):
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = nn.Conv2d(3, CHANNELS, 3, 2, 1)
            self.around = nn.Conv2d(3, CHANNELS, 3, 2, 1)
            self.head = linear()

        def forward(self, images: Tensor) -> Tensor:
            return self.head((self.trunk(images) + self.around(images)).mean((2, 3)))

    model = wrap(nn.Identity(), nn.Identity())
    model.network = Residual()
    assert pooled_linear_head(model, images[:1]) is None


def test_a_head_at_its_zero_initialisation_is_not_mistaken(make, images, targets):
    model = make("deep")
    nn.init.zeros_(model.network.head[2].weight)
    nn.init.zeros_(model.network.head[2].bias)
    explain = GradCAM(model)
    assert not explain(images, targets).heatmaps.any()
    nn.init.normal_(model.network.head[2].weight)
    assert_same(explain(images, targets).heatmaps, oracle(model, images, targets))


def test_the_first_batch_does_not_matter(make, images, targets):
    model = make("in-place")
    black_first = GradCAM(model)
    black_first(torch.zeros_like(images))
    assert torch.equal(
        black_first(images, targets).heatmaps, GradCAM(model)(images, targets).heatmaps
    )


@pytest.mark.parametrize("kind", KINDS)
def test_batch_size_and_order_do_not_matter(make, kind):
    explain = GradCAM(make(kind))
    images = torch.rand(64, 3, 8, 12, generator=torch.Generator().manual_seed(2))
    targets = torch.arange(64) % CLASSES
    whole = explain(images, targets).heatmaps
    for size in (1, 7):
        parts = zip(images.split(size), targets.split(size), strict=True)
        assert_same(torch.cat([explain(*part).heatmaps for part in parts]), whole)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(3))
    assert_same(explain(images[order], targets[order]).heatmaps, whole[order])


@pytest.mark.parametrize("kind", KINDS)
def test_without_targets_the_predicted_class_is_explained(make, images, kind):
    explain = GradCAM(make(kind))
    free = explain(images)
    assert torch.equal(free.heatmaps, explain(images, free.logits.argmax(1)).heatmaps)


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_left_as_found(make, images, targets, kind):
    model = make(kind).train()
    model.network.trunk.eval()
    model.network.head[-1].bias.requires_grad_(False)
    model.network.head[-1].weight.grad = torch.ones_like(model.network.head[-1].weight)
    before, random = state(model), torch.get_rng_state()
    GradCAM(model)(images, targets)
    assert state(model) == before
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_left_as_found_after_an_exception(make, images, targets, kind):
    model = make(kind).train()
    explain = GradCAM(model)
    explain(images, targets)
    model.network.head[-1].register_forward_hook(lambda *_: 1 / 0)
    before = state(model)
    with torch.no_grad():
        with pytest.raises(ZeroDivisionError, match="division by zero"):
            explain(images, targets)
        assert not torch.is_grad_enabled()
    assert state(model) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_gradient_mode_does_not_matter(make, images, targets, kind, mode):
    model = make(kind)
    expected = GradCAM(model)(images, targets)
    with mode():
        found = GradCAM(model)(images.clone(), targets)
    assert torch.equal(found.heatmaps, expected.heatmaps)
    assert not found.heatmaps.requires_grad
    assert not found.logits.requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_parameters_do_not_matter(make, images, targets, kind):
    model = make(kind)
    expected = GradCAM(model)(images, targets).heatmaps
    found = GradCAM(model.requires_grad_(False))(images, targets).heatmaps
    assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_users_own_hooks_stay_in_force(make, images, targets, kind):
    model = make(kind)
    expected = GradCAM(make(kind))(images, targets).heatmaps
    calls = []
    model.network.trunk.register_forward_hook(lambda *_: calls.append(1))
    assert torch.equal(GradCAM(model)(images, targets).heatmaps, expected)
    assert calls
    model.network.trunk.register_forward_hook(lambda _m, _i, output: output * 0)
    assert not GradCAM(model)(images, targets).heatmaps.any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(make, images, targets, kind, dtype):
    expected = GradCAM(make(kind))(images, targets).heatmaps
    model = make(kind).to(dtype)
    explanation = GradCAM(model)(images.to(dtype), targets)
    assert explanation.heatmaps.dtype == torch.float32
    assert explanation.logits.dtype == dtype
    assert_same(explanation.heatmaps, expected, 1e-5 if dtype == torch.float64 else 0.05)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_closed_form_is_found_in_half_precision(make, images, dtype):
    model = make("pooled").to(dtype)
    assert pooled_linear_head(model, images[:1].to(dtype)) is model.network.head[2]
    for kind in ("deep", "in-place"):
        assert pooled_linear_head(make(kind).to(dtype), images[:1].to(dtype)) is None


def test_memory_format_does_not_matter(make, images, targets):
    model = make("deep")
    expected = GradCAM(model)(images, targets).heatmaps
    found = GradCAM(model)(images.to(memory_format=torch.channels_last), targets).heatmaps
    assert_same(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_without_evidence_are_zero(make, images, targets, kind):
    model = make(kind)
    nn.init.zeros_(model.network.trunk.convolution.weight)
    nn.init.zeros_(model.network.trunk.convolution.bias)
    heatmaps = GradCAM(model)(images, targets).heatmaps
    assert heatmaps.shape == (7, 4, 6)
    assert not heatmaps.any()


@given(st.floats(0.01, 100), st.integers(0, 2**32))
def test_maps_scale_with_the_weights(scale, seed):
    generator = torch.Generator().manual_seed(seed)
    weights, activations = (torch.randn(2, 3, *s, generator=generator) for s in ((1, 1), (4, 5)))
    heatmaps = channel_sum(activations, weights)
    scaled = channel_sum(activations, weights * scale)
    torch.testing.assert_close(scaled, heatmaps * scale, rtol=1e-5, atol=1e-5 * scale)


def test_it_is_registered(make, images):
    explanation = EXPLAINERS["gradcam"].make(make("deep"))(images)
    assert isinstance(explanation, Explanation)
    assert explanation.heatmaps.shape == (7, 4, 6)
