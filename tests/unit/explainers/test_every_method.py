"""What every method in the table owes its callers, on networks and images of any shape."""

from __future__ import annotations

import gc
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rectified_networks import rectified
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.explainers import EXPLAINERS, Explainer
from ectool.models.classifier import Classifier, ModelSpec

TOLD = {
    "rise": {"passes": 3},
    "smoothgrad": {"passes": 2},
    "integrated-gradients": {"passes": 2},
}
"""Options that reduce the passes of expensive methods."""
FOR_TRANSFORMERS = {"attention-rollout", "transformer-relevance"}
METHODS = sorted(set(EXPLAINERS) - FOR_TRANSFORMERS)
WITHOUT_GRADIENTS = {"eigencam", "ablationcam", "scorecam", "occlusion", "rise"}


def explainer(method: str, model: Classifier) -> Explainer:
    return EXPLAINERS[method].make(model, **TOLD.get(method, {}))


@cache
def network(colors: int, classes: int, stride: int) -> Classifier:
    """Make a network with a pooled linear head, which every method but those for ViTs explains."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trunk = nn.Sequential(
            nn.Conv2d(colors, 4, 3, padding=1, stride=stride), nn.ReLU(inplace=True)
        )
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))
        plain = nn.Sequential(trunk, head)
    spec = ModelSpec(
        architecture="tiny",
        class_names=tuple("abcd"[:classes]),
        input_size=(8, 8),
        mean=(0.5,) * colors,
        std=(0.25,) * colors,
        target_layer="0",
        layout="nchw",
    )
    return Classifier(plain, spec)


SHAPES = st.tuples(st.integers(1, 3), st.sampled_from([1, 3]), st.integers(1, 7), st.integers(1, 7))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=12)
@given(
    shape=SHAPES,
    classes=st.integers(1, 4),
    stride=st.sampled_from([1, 2, 7]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    seed=st.integers(0, 2**16),
    columns=st.integers(0, 2),
)
def test_images_of_any_shape(method, shape, classes, stride, dtype, seed, columns):
    count, colors, height, width = shape
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(shape, generator=generator)
    targets = torch.randint(-1, classes, (count, columns), generator=generator)
    model = network(colors, classes, stride)
    model.network.to(dtype)
    explanation = explainer(method, model)(images, targets if columns else None)
    at_layer = EXPLAINERS[method].grid == "layer"
    grid = (-(-height // stride), -(-width // stride)) if at_layer else (height, width)
    assert explanation.heatmaps.shape == (count, *((columns,) if columns else ()), *grid)
    assert explanation.heatmaps.dtype == torch.float32
    assert explanation.heatmaps.isfinite().all()
    assert (explanation.heatmaps >= 0).all()
    assert explanation.logits.shape == (count, classes)
    if columns:
        assert not explanation.heatmaps[targets < 0].any()


def everything(model: Classifier) -> list[object]:
    modules, parameters = list(model.modules()), list(model.parameters())
    found: list[object] = [(m.training, len(m._forward_hooks)) for m in modules]
    found += [(p.requires_grad, None if p.grad is None else p.grad.tolist()) for p in parameters]
    return found + [value.tolist() for value in model.state_dict().values()]


def fail(*_arguments: object) -> None:
    raise RuntimeError("stop")


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"cam"}))
def test_models_are_left_as_found_also_after_an_exception(method):
    model = rectified()
    model.network.block.eval()
    model.network.head.bias.requires_grad_(False)
    model.network.stem.weight.grad = torch.ones_like(model.network.stem.weight)
    seen: list[object] = []
    model.network.head.register_forward_hook(lambda *arguments: seen.append(arguments))
    images = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    before, explain = everything(model), explainer(method, model)
    explain(images, torch.tensor([[0, 1], [2, -1]]))
    assert everything(model) == before
    assert seen
    model.network.head.register_forward_hook(fail)
    before = everything(model)
    for broken in (explain, explainer(method, model)):
        with pytest.raises(RuntimeError, match="stop"):
            broken(images)
        assert everything(model) == before
    assert torch.is_grad_enabled()


class Detach(nn.Module):
    """A step that autograd cannot see through."""

    def forward(self, values: Tensor) -> Tensor:
        return values.detach()


@pytest.mark.parametrize("method", sorted(set(METHODS) - WITHOUT_GRADIENTS - {"cam"}))
def test_heads_without_a_gradient_are_refused_in_one_line(method):
    model = rectified()
    model.network.head = nn.Sequential(model.network.head, Detach())
    with pytest.raises(InputError, match=r"^model: expected logits with a gradient"):
        explainer(method, model)(torch.rand(1, 3, 8, 12))


@pytest.mark.parametrize("method", sorted(WITHOUT_GRADIENTS))
def test_methods_without_gradients_explain_them(method):
    model = rectified()
    images = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    expected = explainer(method, model)(images).heatmaps
    model.network.head = nn.Sequential(model.network.head, Detach())
    torch.testing.assert_close(explainer(method, model)(images).heatmaps, expected)


def resident_megabytes() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's own account")
@pytest.mark.parametrize("method", METHODS)
def test_memory_is_flat_over_ten_thousand_images(method):
    explain, batch = explainer(method, network(3, 4, 2).float()), 250
    images = torch.rand(batch, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for _ in range(2000 // batch):
        explain(images)
    gc.collect()
    settled = resident_megabytes()
    for _ in range(8000 // batch):
        explain(images)
    gc.collect()
    assert resident_megabytes() - settled < 16
