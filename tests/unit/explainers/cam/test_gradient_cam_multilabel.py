"""Several targets an image: each map is that of its target alone, at the cost of one trunk pass."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ectool.explainers import GradCAM
from ectool.explainers.cut import open_head
from ectool.models.classifier import Classifier

LAYOUTS = ["nchw", "nhwc", "tokens", "cls_tokens"]
KINDS = ["pooled", "deep", "in-place"]
CLASSES = 5


@pytest.fixture
def pairs() -> Tensor:
    """Targets of seven images; one has none, and the third column is rarely used."""
    rows = [[0, 3, -1], [1, -1, -1], [0, 2, 4], [-1, -1, -1], [4, -1, -1], [2, 3, -1], [3, -1, -1]]
    return torch.tensor(rows)


def count_calls(model: Classifier) -> dict[str, int]:
    """Count forward passes of the trunk and backward passes of the head from now on."""
    calls = {"trunk": 0, "head": 0}

    def forward(*_: object) -> None:
        calls["trunk"] += 1

    def backward(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(lambda _: calls.update(head=calls["head"] + 1))

    model.network.trunk.register_forward_hook(forward)
    model.network.head.register_forward_hook(backward)
    return calls


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_map_is_that_of_its_target_alone(make, images, pairs, kind, layout):
    explain = GradCAM(make(kind, layout))
    found = explain(images, pairs)
    assert found.heatmaps.shape == (7, 3, 4, 6)
    for row, column in (pairs >= 0).nonzero().tolist():
        alone = explain(images[row : row + 1], pairs[row, column][None])
        scale = float(alone.heatmaps.max())
        torch.testing.assert_close(
            found.heatmaps[row, column], alone.heatmaps[0], rtol=1e-4, atol=1e-5 * max(scale, 1)
        )
        torch.testing.assert_close(found.logits[row], alone.logits[0])
    assert found.heatmaps[pairs >= 0].any()


@pytest.mark.parametrize("kind", KINDS)
def test_fillings_are_zero(make, images, pairs, kind):
    heatmaps = GradCAM(make(kind))(images, pairs).heatmaps
    assert not heatmaps[pairs < 0].any()


def test_fillings_are_zero_even_where_the_head_has_no_derivative(wrap, images, pairs):
    class Root(nn.Module):
        def forward(self, activations: Tensor) -> Tensor:
            return (activations * 0).sum((2, 3)).sqrt()

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = wrap(nn.Conv2d(3, 6, 3, 2, 1), nn.Sequential(Root(), nn.Linear(6, CLASSES)))
    with open_head(model, images) as head:
        assert not head.gradients(pairs[:, 0]).isfinite().all()
    heatmaps = GradCAM(model)(images, pairs).heatmaps
    assert not heatmaps[pairs < 0].any()


@pytest.mark.parametrize("kind", KINDS)
def test_one_column_is_one_target(make, images, targets, kind):
    explain = GradCAM(make(kind))
    single, column = explain(images, targets), explain(images, targets[:, None])
    assert torch.equal(column.heatmaps[:, 0], single.heatmaps)
    assert torch.equal(column.logits, single.logits)


@pytest.mark.parametrize(("kind", "passes"), [("pooled", 0), ("deep", 3), ("in-place", 3)])
def test_cost(make, images, pairs, kind, passes):
    model = make(kind)
    explain = GradCAM(model)
    explain(images)
    calls = count_calls(model)
    explain(images, pairs)
    assert calls == {"trunk": 1, "head": passes}


def test_columns_without_a_target_cost_nothing(make, images, pairs):
    model = make("deep")
    explain = GradCAM(model)
    explain(images)
    calls = count_calls(model)
    explain(images[3:5], pairs[3:5])
    assert calls == {"trunk": 1, "head": 1}
    assert not explain(images[3:4], pairs[3:4]).heatmaps.any()
    assert calls == {"trunk": 2, "head": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_influence_each_other(make, images, pairs, kind):
    explain = GradCAM(make(kind))
    expected = explain(images, pairs).heatmaps[2]
    others = images.flip(0)
    others[2] = images[2]
    changed = pairs.flip(0)
    changed[2] = pairs[2]
    torch.testing.assert_close(explain(others, changed).heatmaps[2], expected)
    torch.testing.assert_close(explain(images[2:3], pairs[2:3]).heatmaps[0], expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_gradient_mode_comes_back(make, images, pairs, kind, mode):
    explain = GradCAM(make(kind))
    expected = explain(images, pairs).heatmaps
    with mode():
        before = torch.is_grad_enabled()
        found = explain(images.clone(), pairs).heatmaps
        assert torch.is_grad_enabled() == before
    assert torch.equal(found, expected)
    assert not found.requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_gives_float32_maps(make, images, pairs, kind):
    expected = GradCAM(make(kind))(images, pairs).heatmaps
    found = GradCAM(make(kind).bfloat16())(images.bfloat16(), pairs).heatmaps
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05 * float(expected.max()))


def test_an_open_head_runs_repeatedly_and_restores_the_model(make, images, targets):
    model = make("deep").train()
    with open_head(model, images) as head:
        assert not model.training
        assert not torch.is_grad_enabled()
        first, again = head.gradients(targets), head.gradients(targets)
        assert not head.activations.requires_grad
    assert torch.equal(first, again)
    assert model.training
    assert torch.is_grad_enabled()
    assert all(parameter.requires_grad for parameter in model.parameters())
