from __future__ import annotations

import json
import sys

import pytest
import torch

from ectool.errors import InputError
from ectool.models.checkpoints.checkpoint import load_weights, save_weights
from ectool.models.classifier import ModelSpec
from ectool.models.layers.target_layer import TargetLayer
from ectool.models.registry import build, create
from ectool.models.sources.base import IMAGENET_MEAN, IMAGENET_STD

CLASSES = tuple("abcde")
SIZE = (16, 24)

CODE = """
import math
import torch
from torch import nn

print("imported")
SEEN = []


class Net(nn.Module):
    def __init__(self, num_classes, width=4):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, width, 3, stride=4), nn.ReLU())
        self.head = nn.Linear(width, num_classes)

    def forward(self, images):
        return self.head(self.trunk(images).mean((2, 3)))

    @classmethod
    def small(cls, num_classes=5):
        return cls(num_classes, width=2)


def make(num_classes):
    print("made")
    return Net(num_classes)


def by_position(num_classes, /):
    return Net(num_classes)


def anything(**options):
    SEEN.append(options)
    return Net(**options)


def fixed():
    return Net(5)


def fail():
    raise RuntimeError("no weights here\\nat all")


def nothing():
    return {"state_dict": {}}


ready = Net(5)
number = 5
"""


@pytest.fixture(autouse=True)
def zoo(tmp_path, monkeypatch):
    """A module in the working folder, under a name of its own for each test."""
    name = f"zoo_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(CODE)
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found\n")
    monkeypatch.chdir(tmp_path)
    yield name
    for module in (name, "broken"):
        sys.modules.pop(module, None)


def made(name: str, **options):
    return create(f"import:{name}", CLASSES, seed=0, **{"input_size": SIZE, **options})


@pytest.mark.parametrize("factory", ["make", "Net", "Net.small", "anything", "fixed"])
def test_factories_of_every_kind(zoo, factory):
    model = made(f"{zoo}:{factory}")
    assert model(torch.rand(2, 3, *SIZE)).shape == (2, 5)
    assert model.target_layer == TargetLayer("trunk", "nchw")
    assert (model.spec.mean, model.spec.std) == (IMAGENET_MEAN, IMAGENET_STD)


def test_the_number_of_classes_is_given_to_those_who_take_it(zoo):
    made(f"{zoo}:anything")
    assert sys.modules[zoo].SEEN == [{"num_classes": 5}]
    seven = create(f"import:{zoo}:make", tuple("abcdefg"), seed=0, input_size=SIZE)
    assert seven(torch.rand(1, 3, *SIZE)).shape == (1, 7)


def test_what_the_code_prints_goes_to_stderr(zoo, capsys):
    made(f"{zoo}:make")
    assert capsys.readouterr() == ("", "imported\nmade\n")


def test_the_search_path_is_left_as_found(zoo):
    before = list(sys.path)
    made(f"{zoo}:make")
    with pytest.raises(InputError, match="no weights here"):
        made(f"{zoo}:fail")
    assert sys.path == before


def test_the_seed_decides_the_weights(zoo):
    first, again = made(f"{zoo}:make"), made(f"{zoo}:make")
    assert torch.equal(first.network.head.weight, again.network.head.weight)


def test_build_rebuilds_from_the_json_form(zoo, tmp_path):
    model = create(f"import:{zoo}:make", CLASSES, seed=3, input_size=SIZE, mean=(0.5,) * 3)
    save_weights(model, tmp_path / "model.safetensors")
    twin = build(ModelSpec.from_json(json.loads(json.dumps(model.spec.to_json()))))
    load_weights(twin, tmp_path / "model.safetensors")
    assert twin.spec == model.spec
    pixels = torch.rand(1, 3, *SIZE)
    assert torch.equal(twin(pixels), model(pixels))


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("mak", "expected a factory in .*, got no 'mak' in it; try make"),
        ("Net.tiny", "got no 'Net.tiny' in it"),
        ("number", "expected a function or class that makes a network, got an object of type int"),
        ("ready", "that makes a network, got an object of type Net"),
        ("fail", r"expected a network from the call \(\), got RuntimeError: no weights here;"),
        ("by_position", r"from the call \(\), got TypeError: .* missing 1 required positional"),
        ("nothing", "expected a factory that returns a torch.nn.Module, got dict"),
        ("math.nan", "an object of type float"),
        ("", "expected the form import:package.module:factory, got"),
    ],
)
def test_factories_that_make_no_network(zoo, factory, message):
    with pytest.raises(InputError, match=rf"model import:{zoo}:{factory}: .*{message}") as caught:
        made(f"{zoo}:{factory}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nowhere:make",
            "a module nowhere that can be imported, got ModuleNotFoundError: .*; install it, or",
        ),
        ("torch.nowhere:make", "torch.nowhere that can be imported, got ModuleNotFoundError"),
        ("broken:make", "broken that can be .*No module named 'nowhere_to_be_found'"),
        ("make", "the form import:package.module:factory"),
        (":make", "the form import:package.module:factory"),
        (".zoo:make", "got TypeError"),
    ],
)
def test_modules_that_are_not_there(name, message):
    with pytest.raises(InputError, match=f"model import:{name}: .*{message}"):
        made(name)


def test_heads_of_another_size_are_refused(zoo):
    message = f"model import:{zoo}:fixed: expected a head for 3 classes, got one for 5 classes"
    with pytest.raises(InputError, match=message):
        create(f"import:{zoo}:fixed", tuple("abc"), seed=0, input_size=SIZE)


def test_sizes_the_network_refuses(zoo):
    with pytest.raises(InputError, match=r"input size: .* got 2x2"):
        made(f"{zoo}:make", input_size=(2, 2))
