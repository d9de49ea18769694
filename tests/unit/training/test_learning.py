"""Epochs on a toy problem: that it is learned, what weights do to it, and going on exactly."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from ectool.training.checkpoint import load_optimizer, save_optimizer
from ectool.training.loop import make_optimizer
from tests.plain_training import plain_epoch


def make(model, name, lr=0.01):
    return make_optimizer(model, name, lr=lr, weight_decay=1e-4)


def rate(step):
    return 0.01 / (step + 1)


@pytest.mark.parametrize(("name", "lr"), [("sgd", 0.05), ("adamw", 0.01)])
def test_learns(name, lr, make_model, batches):
    model = make_model().eval()
    optimizer = make(model, name, lr)
    results = [plain_epoch(model, optimizer, batches, lambda _: lr) for _ in range(20)]
    assert results[-1].loss < results[0].loss / 2
    assert results[-1].accuracy > 0.9 > results[0].accuracy
    assert model.training


def test_weights_scale_the_step(make_model, batches):
    start = nn.utils.parameters_to_vector(make_model().parameters())
    moves = []
    for scale in (1.0, 3.0):
        model = make_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=9)
        heavy = replace(batches[0], weights=torch.full((8,), scale))
        plain_epoch(model, optimizer, [heavy], lambda _: 0.01)
        moves.append(nn.utils.parameters_to_vector(model.parameters()) - start)
    torch.testing.assert_close(moves[1], 3 * moves[0], rtol=1e-4, atol=1e-6)


def test_sets_the_rate_of_every_group(make_model, batches):
    model = make_model()
    groups = [{"params": model[0].parameters()}, {"params": model[3].parameters()}]
    optimizer = torch.optim.SGD(groups, lr=9.0)
    plain_epoch(model, optimizer, batches, lambda step: 0.01 * (step + 1))
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.05]


@pytest.mark.parametrize("name", ["adamw", "sgd"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_goes_on_bit_for_bit(name, layout, make_model, batches, tmp_path):
    model = make_model().to(memory_format=layout)
    optimizer = make(model, name)
    plain_epoch(model, optimizer, batches, rate)
    save_optimizer(optimizer, tmp_path / "state")
    other, fresh = copy.deepcopy(model), copy.deepcopy(model)
    resumed = make(other, name)
    load_optimizer(resumed, tmp_path / "state")
    pairs = ((model, optimizer), (other, resumed), (fresh, make(fresh, name)))
    results = [plain_epoch(*pair, batches, rate) for pair in pairs]
    assert results[0] == results[1]
    same = [torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(model[3].weight, fresh[3].weight)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_more_than_ten_parameters_keep_their_order(name, tmp_path):
    model = nn.ParameterList([nn.Parameter(torch.full((2,), float(n))) for n in range(12)])
    optimizer = make(model, name)
    for parameter in model:
        parameter.grad = parameter.detach().clone()
    optimizer.step()
    save_optimizer(optimizer, tmp_path / "state")
    resumed = make(model, name)
    load_optimizer(resumed, tmp_path / "state")
    expected, found = optimizer.state_dict()["state"], resumed.state_dict()["state"]
    assert found.keys() == expected.keys()
    for number, values in expected.items():
        for key, value in values.items():
            assert torch.equal(torch.as_tensor(found[number][key]), torch.as_tensor(value))


def test_options_stay_those_of_the_new_optimizer(make_model, batches, tmp_path):
    model = make_model()
    optimizer = make(model, "sgd")
    plain_epoch(model, optimizer, batches, rate)
    save_optimizer(optimizer, tmp_path / "state")
    resumed = make_optimizer(model, "sgd", lr=0.5, weight_decay=0.25)
    load_optimizer(resumed, tmp_path / "state")
    group = resumed.param_groups[0]
    assert (group["lr"], group["weight_decay"], group["momentum"]) == (0.5, 0.25, 0.9)


def test_learns_multilabel_data(make_model, batches):
    marks = [torch.nn.functional.one_hot(batch.labels, 3).to(torch.int8) for batch in batches]
    for mark in marks:
        mark[:, 1] = mark[:, 0]
    several = [replace(b, labels=mark) for b, mark in zip(batches, marks, strict=True)]
    model = make_model()
    optimizer = make(model, "adamw")
    results = [plain_epoch(model, optimizer, several, lambda _: 0.01) for _ in range(20)]
    assert results[-1].loss < results[0].loss / 2
    assert results[-1].accuracy > 0.9 > results[0].accuracy
