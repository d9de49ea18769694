from __future__ import annotations

import os

import pytest
import torch
from torch import nn

from ectool.models.modes import forward_hooks, frozen, graph_free, use_deterministic_algorithms


@pytest.fixture
def mixed() -> nn.Sequential:
    """A network whose modules and parameters are in different modes."""
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    network.train()
    network[1].eval()
    network[3].bias.requires_grad_(False)
    network[0].weight.grad = torch.ones_like(network[0].weight)
    return network


def state(network: nn.Module) -> list[object]:
    flags: list[object] = [module.training for module in network.modules()]
    flags += [p.requires_grad for p in network.parameters()]
    flags += [None if p.grad is None else p.grad.tolist() for p in network.parameters()]
    flags += [buffer.tolist() for buffer in network.buffers()]
    return flags + [len(module._forward_hooks) for module in network.modules()]


def test_frozen_holds_evaluation_mode_and_no_parameter_gradients(mixed):
    with frozen(mixed):
        assert not any(module.training for module in mixed.modules())
        assert not any(p.requires_grad for p in mixed.parameters())
        images = torch.randn(5, 3, requires_grad=True)
        mixed(images).sum().backward()
        assert images.grad is not None


def test_frozen_restores_everything(mixed):
    before = state(mixed)
    gradient = mixed[0].weight.grad
    with frozen(mixed):
        mixed(torch.randn(5, 3))
        mixed.zero_grad()
        mixed[2].train()
    assert state(mixed) == before
    assert mixed[0].weight.grad is gradient


def test_frozen_restores_everything_after_an_exception(mixed):
    before = state(mixed)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), frozen(mixed):
        mixed(torch.randn(5, 7))
    assert state(mixed) == before


def test_frozen_nests(mixed):
    before = state(mixed)
    with frozen(mixed):
        with frozen(mixed):
            pass
        assert not mixed.training
    assert state(mixed) == before


def test_forward_hooks_see_outputs_replace_them_and_go(mixed):
    seen = []

    def double(module, _arguments, output):
        seen.append(module)
        return output * 2

    mixed.eval()
    images = torch.randn(5, 3)
    plain = mixed(images)
    with forward_hooks([mixed[3]], double):
        assert torch.equal(mixed(images), plain * 2)
    assert seen == [mixed[3]]
    assert torch.equal(mixed(images), plain)


def test_forward_hooks_go_after_an_exception_and_leave_others(mixed):
    mixed[0].register_forward_hook(lambda *_: None)
    before = state(mixed)
    with (
        pytest.raises(RuntimeError, match="shapes cannot be multiplied"),
        forward_hooks(mixed, lambda *_: None),
    ):
        mixed(torch.randn(5, 7))
    assert state(mixed) == before


def test_graph_free_records_nothing_but_can_be_switched_on_inside():
    weight = torch.ones(2, requires_grad=True)
    with graph_free():
        assert not (weight * 2).requires_grad
        torch.set_grad_enabled(True)
        assert (weight * 2).requires_grad
    assert torch.is_grad_enabled()


def test_graph_free_keeps_the_callers_mode():
    with torch.no_grad():
        with graph_free():
            torch.set_grad_enabled(True)
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        with graph_free():
            assert not torch.ones(1).is_inference()
        assert torch.is_inference_mode_enabled()


def test_operations_without_a_deterministic_algorithm_are_refused(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # restored afterwards, also if it was unset
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    try:
        use_deterministic_algorithms()
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
            torch.zeros(2).put_(torch.tensor([0, 0]), torch.ones(2))
    finally:
        torch.use_deterministic_algorithms(False)
