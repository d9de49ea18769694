from __future__ import annotations

import pytest
import torch
from torch import nn

from ectool.errors import InputError
from ectool.explainers.base import choose_targets
from ectool.explainers.cut import run_forward, run_head_backward

LAYOUTS = ["nchw", "nhwc", "tokens", "cls_tokens"]
KINDS = ["pooled", "deep", "in-place"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_differentiating_the_whole_network(make, images, targets, kind, layout):
    model = make(kind, layout).eval()
    result = run_head_backward(model, images, targets)
    activations = model.network.trunk((images - model.mean) / model.std)
    logits = model.network.head(activations.clone())
    loss = sum(logits[n, target] for n, target in enumerate(targets))
    (gradients,) = torch.autograd.grad(loss, activations)
    to_nchw = model.target_layer.to_nchw
    torch.testing.assert_close(result.logits, logits)
    torch.testing.assert_close(result.activations, to_nchw(activations, images.shape[2:]))
    torch.testing.assert_close(result.gradients, to_nchw(gradients, images.shape[2:]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_run_forward_agrees_with_the_cut_run(make, images, layout):
    model = make("deep", layout)
    activations, logits = run_forward(model, images)
    cut = run_head_backward(model, images)
    assert torch.equal(activations, cut.activations)
    assert torch.equal(logits, cut.logits)


def test_nothing_returned_has_a_graph(make, images):
    model = make("deep")
    cut = run_head_backward(model, images)
    for tensor in (cut.activations, cut.gradients, cut.logits, *run_forward(model, images)):
        assert not tensor.requires_grad


def test_the_trunk_has_no_graph(make, images):
    model = make("deep")
    graphs = []
    layer = model.network.trunk.convolution
    layer.register_forward_hook(lambda _module, _inputs, output: graphs.append(output.grad_fn))
    run_head_backward(model, images.requires_grad_())
    assert graphs == [None]


def test_the_head_sees_the_substitute(make, images):
    model = make("pooled").eval()
    cut = run_head_backward(model, images, substitute=torch.zeros_like)
    assert not cut.activations.any()
    bias = model.network.head[2].bias.detach()
    torch.testing.assert_close(cut.logits, bias.expand(len(images), -1))


def test_choose_targets():
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 1.0]])
    assert choose_targets(logits, None).tolist() == [1, 0]
    chosen = choose_targets(logits, torch.tensor([2, 1], dtype=torch.int32))
    assert chosen.tolist() == [2, 1]
    assert chosen.dtype == torch.int64


def test_a_layer_that_runs_twice_is_refused(wrap, images):
    shared = nn.Conv2d(3, 3, 3, padding=1)
    model = wrap(shared, nn.Sequential(shared, nn.Flatten(), nn.Linear(3 * 8 * 12, 5)))
    for run in (run_forward, run_head_backward):
        with pytest.raises(InputError, match=r"target layer trunk: .* one output .*2 outputs"):
            run(model, images)
