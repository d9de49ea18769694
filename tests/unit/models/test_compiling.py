"""Compiled parts of networks: which they are, and what they compute."""

import copy

import pytest
import torch
from torch import nn
from torch._inductor import config as inductor

from ectool.errors import UsageError
from ectool.explainers import EXPLAINERS
from ectool.models.compiling import _parts, compile_parts
from ectool.models.modes import frozen
from ectool.models.registry import create


class Lists(nn.Module):
    """Blocks in a list, which has no pass of its own."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU()) for _ in range(3))
        self.head = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))


def test_parts_are_the_largest_without_the_target_layer():
    network = Lists()
    assert list(_parts(network, [])) == [*network.blocks, network.head]
    assert list(_parts(network, [network.blocks[1][0]])) == [
        network.blocks[0],
        network.blocks[2],
        network.head,
    ]


def test_no_part_contains_a_target_layer():
    model = create("resnet18", ["a", "b"], seed=0, input_size=(32, 32), layer="layer3")
    parts = list(_parts(model.network, [model.target_module]))
    assert all(model.target_module not in set(part.modules()) for part in parts)
    network = model.network
    blocks = model.target_module.children()
    assert parts == [network.layer1, network.layer2, *blocks, network.layer4]


def test_nothing_is_compiled_by_default():
    model = create("smallresnet", ["a", "b"], seed=0, input_size=(16, 16))
    assert compile_parts(model, "none") == 0
    assert all(module._compiled_call_impl is None for module in model.modules())


def test_graphs_need_cuda():
    model = create("smallcnn", ["a", "b"], seed=0, input_size=(16, 16))
    with pytest.raises(UsageError, match="--compile cuda-graphs: expected a CUDA device, got cpu"):
        compile_parts(model, "cuda-graphs")


@pytest.mark.slow
def test_a_missing_compiler_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    model = create("smallcnn", ["a", "b"], seed=0, input_size=(16, 16))
    with (
        inductor.patch({"cpp.cxx": ("no-compiler-of-this-name",), "force_disable_caches": True}),
        pytest.raises(UsageError, match=r"--compile default: expected a compiler") as refused,
    ):
        compile_parts(model, "default")
    assert "\n" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch hides it by a filter
def test_compiled_parts_give_the_same_up_to_rounding():
    model = create("smallresnet", ["a", "b", "c"], seed=0, input_size=(16, 16)).eval()
    other = copy.deepcopy(model)
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert compile_parts(other, "default") > 0
    assert compile_parts(other, "default") == 0
    found = []
    for one in (model, other):
        with frozen(one):
            explanation = EXPLAINERS["gradcam"].make(one)(images)
            leaf = images.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(one(leaf).logsumexp(1).sum(), leaf)
        found.append((explanation.heatmaps, explanation.logits, gradient))
    for plain, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-6)
