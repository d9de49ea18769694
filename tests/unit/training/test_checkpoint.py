from __future__ import annotations

import pytest
import torch
from torch import nn

from ectool.errors import InputError
from ectool.training.checkpoint import load_optimizer, save_optimizer
from ectool.training.loop import make_optimizer

NAMES = pytest.mark.parametrize("name", ["adamw", "sgd"])


def network(widths=(3, 4)):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(*widths, 3), nn.Conv2d(widths[1], 2, 3))
    return model.to(memory_format=torch.channels_last)


def steps(model, optimizer, count, seed):
    draw = torch.Generator().manual_seed(seed)
    for _ in range(count):
        optimizer.zero_grad()
        model(torch.rand(2, 3, 6, 6, generator=draw)).square().mean().backward()
        optimizer.step()


def start(name):
    model = network()
    return model, make_optimizer(model, name, lr=0.1, weight_decay=0.01)


@NAMES
def test_resumed_steps_are_the_very_same(name, tmp_path):
    model, optimizer = start(name)
    steps(model, optimizer, 3, seed=1)
    save_optimizer(optimizer, tmp_path / "state.safetensors")
    other, resumed = start(name)
    other.load_state_dict(model.state_dict())
    load_optimizer(resumed, tmp_path / "state.safetensors")
    for pair in ((model, optimizer), (other, resumed)):
        steps(*pair, 2, seed=2)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


@NAMES
def test_equal_states_give_equal_bytes(name, tmp_path):
    for file in ("a", "b"):
        model, optimizer = start(name)
        steps(model, optimizer, 2, seed=1)
        save_optimizer(optimizer, tmp_path / file)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    save_optimizer(optimizer, tmp_path / "c")
    load_optimizer(optimizer, tmp_path / "c")
    save_optimizer(optimizer, tmp_path / "d")
    assert (tmp_path / "c").read_bytes() == (tmp_path / "d").read_bytes()


@NAMES
def test_the_state_before_any_step_is_empty(name, tmp_path):
    _, optimizer = start(name)
    save_optimizer(optimizer, tmp_path / "state")
    load_optimizer(optimizer, tmp_path / "state")
    assert optimizer.state_dict()["state"] == {}


def test_the_state_of_other_parameters_is_refused(tmp_path):
    model, optimizer = start("adamw")
    steps(model, optimizer, 1, seed=1)
    save_optimizer(optimizer, tmp_path / "state")
    other = nn.Linear(2, 2)
    with pytest.raises(
        InputError, match="state: expected the state of 2 parameters, got the state of 4"
    ):
        load_optimizer(make_optimizer(other, "adamw", lr=0.1, weight_decay=0), tmp_path / "state")
