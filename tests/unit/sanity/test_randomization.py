from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ectool.models.registry import create
from ectool.sanity import draw_weights, with_weights

SIZE = (16, 16)


@pytest.fixture
def model():
    model = create("smallcnn", tuple("abc"), seed=0, input_size=SIZE).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(1)
    return model


def state(model):
    return {name: tensor.clone() for name, tensor in model.network.state_dict().items()}


def changed(before, after):
    return {
        name.rpartition(".")[0] for name in before if not torch.equal(before[name], after[name])
    }


@pytest.mark.parametrize("make", [lambda: nn.Linear(3, 4), lambda: nn.Conv2d(3, 4, 3)])
def test_a_layer_is_drawn_by_its_initialisation(make):
    network = nn.Sequential(make())
    (drawn,) = draw_weights(network, ["0"], seed=3).values()
    bound = network[0].weight[0].numel() ** -0.5
    assert drawn["weight"].abs().max() <= bound
    assert drawn["bias"].abs().max() <= bound
    assert drawn["weight"].std() == pytest.approx(bound / 3**0.5, rel=0.35)
    assert not torch.equal(drawn["weight"], network[0].weight)


def test_batch_normalisation_resets_its_statistics():
    norm = nn.BatchNorm2d(3)
    norm.running_mean.add_(2)
    drawn = draw_weights(nn.Sequential(norm), ["0"], seed=0)["0"]
    assert drawn["running_mean"].tolist() == [0, 0, 0]
    assert norm.running_mean.tolist() == [2, 2, 2]


def test_weights_without_an_initialisation_are_permuted():
    attention = nn.MultiheadAttention(8, 2)
    drawn = draw_weights(attention, [""], seed=0)[""]
    assert set(drawn) == {"in_proj_weight", "in_proj_bias"}
    weight, present = drawn["in_proj_weight"], attention.in_proj_weight
    assert not torch.equal(weight, present)
    assert torch.equal(weight.flatten().sort().values, present.flatten().sort().values)


def test_draws_depend_on_seed_and_name(model):
    names = ["head", "features.0", "features.9"]
    all_at_once = draw_weights(model.network, names, seed=1)
    torch.rand(7)
    for name in reversed(names):
        alone = draw_weights(model.network, [name], seed=1)[name]
        assert all(torch.equal(alone[key], all_at_once[name][key]) for key in alone)
    other = draw_weights(model.network, ["head"], seed=2)["head"]
    assert not torch.equal(other["weight"], all_at_once["head"]["weight"])
    twins = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    first, second = draw_weights(twins, ["0", "1"], seed=1).values()
    assert not torch.equal(first["weight"], second["weight"])


def test_the_global_generator_is_left_unchanged_also_on_error():
    class Refusing(nn.Linear):
        calls = 0

        def reset_parameters(self):
            super().reset_parameters()
            Refusing.calls += 1
            if Refusing.calls > 1:
                raise RuntimeError("no more")

    network = nn.Sequential(nn.Linear(3, 3), Refusing(3, 3))
    before = torch.get_rng_state()
    draw_weights(network, ["0"], seed=0)
    with pytest.raises(RuntimeError, match="no more"):
        draw_weights(network, ["1"], seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_only_the_named_layers_change_and_the_model_is_unchanged(model):
    before = state(model)
    weights = draw_weights(model.network, ["head", "features.1"], seed=0)
    other = with_weights(model, weights)
    assert changed(before, state(other)) == {"head", "features.1"}
    assert changed(before, state(model)) == set()
    for key, tensor in weights["head"].items():
        assert torch.equal(other.network.get_submodule("head").get_parameter(key), tensor)


def test_all_other_weights_are_shared(model):
    other = with_weights(model, draw_weights(model.network, ["head"], seed=0))
    ours, theirs = dict(model.named_parameters()), dict(other.named_parameters())
    assert ours.keys() == theirs.keys()
    shared = {name for name in ours if ours[name] is theirs[name]}
    assert shared == {name for name in ours if ".head." not in name}
    assert not any(parameter.requires_grad for parameter in theirs.values())


def test_it_computes_what_a_loaded_copy_does(model):
    weights = draw_weights(model.network, ["features.3", "features.4"], seed=5)
    copied = copy.deepcopy(model)
    flat = {f"{name}.{key}": t for name, own in weights.items() for key, t in own.items()}
    copied.network.load_state_dict({**copied.network.state_dict(), **flat})
    images = torch.rand(2, 3, *SIZE)
    assert torch.equal(with_weights(model, weights)(images), copied(images))


def test_tied_weights_stay_tied():
    model = create("smallcnn", tuple("abc"), seed=0, input_size=SIZE)
    first, second = (model.network.get_submodule(f"features.{k}") for k in (1, 4))
    second.weight = nn.Parameter(torch.ones(len(second.weight)))
    second.bias = second.weight
    weights = {"features.4": {"weight": torch.full_like(second.weight, 2)}}
    other = with_weights(model, weights).network.get_submodule("features.4")
    assert other.weight is other.bias
    assert other.weight[0] == 2
    assert model.network.get_submodule("features.1") is first
