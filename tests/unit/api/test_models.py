"""`wrap` takes networks as they are; `load` those of the command line."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ectool

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
Outputs = namedtuple("Outputs", ["aux", "logits"])


class ModelOutput(OrderedDict):
    """As that of Hugging Face: entries are also attributes."""

    def __getattr__(self, name: str) -> object:
        return self[name]


@dataclass
class Plain:
    """An output that only has attributes."""

    logits: Tensor


class Returning(nn.Module):
    def __init__(self, net: nn.Module, pack: object) -> None:
        super().__init__()
        self.net, self.pack = net, pack

    def forward(self, images: Tensor) -> object:
        return self.pack(self.net(images))


PACKS = {
    "tensor": lambda logits: logits,
    "tuple": lambda logits: (torch.zeros(()), logits, torch.zeros(len(logits), 2)),
    "list": lambda logits: [logits],
    "named tuple": lambda logits: Outputs(torch.zeros(len(logits), 2), logits),
    "dict": lambda logits: {"loss": None, "logits": logits},
    "dict of one": lambda logits: {"scores": logits},
    "ModelOutput": lambda logits: ModelOutput(loss=torch.zeros(()), logits=logits),
    "attributes": Plain,
}


@pytest.mark.parametrize("kind", PACKS)
def test_outputs_of_any_kind_give_the_same_values(kind, net, wrapped, photos, classes) -> None:
    other = ectool.wrap(Returning(net, PACKS[kind]), MEAN, STD)
    assert torch.equal(other(photos), wrapped(photos))
    assert other.layer(16) == "net.features"
    pairs = zip(
        ectool.consistency(other, photos, classes).__dict__.values(),
        ectool.consistency(wrapped, photos, classes).__dict__.values(),
        strict=True,
    )
    assert all(np.array_equal(one, two) for one, two in pairs)


def test_the_entry_of_the_logits_can_be_given(net, wrapped, photos) -> None:
    module = Returning(net, lambda logits: {"aux": logits * 2, "main": logits})
    assert torch.equal(ectool.wrap(module, MEAN, STD, output="main")(photos), wrapped(photos))
    with pytest.raises(ectool.EctoolError, match="logits as entry 3, got dict with 'aux', 'main'"):
        ectool.wrap(module, MEAN, STD, output=3)(photos)


def test_an_output_without_logits_is_refused(net, photos) -> None:
    module = Returning(net, lambda logits: {"loss": logits.sum()})
    with pytest.raises(ectool.EctoolError, match=r"output of the module: .*'loss'; give the key"):
        ectool.wrap(module, MEAN, STD)(photos)


def test_logits_are_those_of_the_module(net, wrapped, photos) -> None:
    net.eval()
    with torch.no_grad():
        expected = net((photos / 255 - 0.5) / 0.25)
    torch.testing.assert_close(wrapped(photos, batch_size=5), expected)
    assert repr(wrapped) == "ectool.Model(Net, cpu)"


@pytest.mark.parametrize("inside", [True, False])
def test_compiled_and_parallel_modules_are_unwrapped(inside, net, wrapped, photos) -> None:
    module = torch.compile(net, backend="eager") if inside else nn.DataParallel(net)
    found = ectool.wrap(module, MEAN, STD)
    assert found.module is net
    assert torch.equal(found(photos), wrapped(photos))


def test_layers_are_named_as_in_the_module(net, photos) -> None:
    wrapped = ectool.wrap(net, MEAN, STD, layer="features.0")
    assert wrapped.layer(16) == "features.0"
    both = ectool.wrap(net, MEAN, STD, layer=["features", "features.0"])
    maps = ectool.explain(both, photos, 0).heatmaps
    assert maps.shape == (12, 8, 8)
    with pytest.raises(ectool.EctoolError, match=r"got 'feature'; try features"):
        ectool.explain(ectool.wrap(net, MEAN, STD, layer="feature"), photos)


def test_a_network_that_outputs_probabilities_is_read_as_such(net, wrapped, photos) -> None:
    soft = ectool.wrap(Returning(net, lambda logits: logits.softmax(1)), MEAN, STD)
    torch.testing.assert_close(soft(photos).softmax(1), wrapped(photos).softmax(1))
    assert (soft(photos) < 0).all()


def test_the_module_is_the_current_one(net, wrapped, photos) -> None:
    before = wrapped(photos)
    net.head.weight.data.mul_(2)
    assert not torch.equal(wrapped(photos), before)


def state(net: nn.Module) -> list[object]:
    """Return everything that a function must leave as it was."""
    modules = [
        (name, id(module), module.training, len(module._forward_hooks))
        for name, module in net.named_modules()
    ]
    tensors = [(name, id(t), t.clone()) for name, t in net.state_dict(keep_vars=True).items()]
    grads = [(p.requires_grad, p.grad) for p in net.parameters()]
    return [modules, [(name, number) for name, number, _ in tensors], grads]


@pytest.mark.parametrize("fails", [False, True])
def test_modules_are_left_as_they_were(fails, net, wrapped, photos, classes) -> None:
    net.train()
    net.features[1].eval()
    net.head.bias.requires_grad_(False)
    net.head.weight.grad = torch.ones_like(net.head.weight)
    net.features.register_forward_hook(lambda *_: None)
    before, weights = state(net), {n: t.clone() for n, t in net.state_dict().items()}
    if fails:
        with pytest.raises(ectool.EctoolError, match="labels of images"):
            ectool.consistency(wrapped, photos, classes + 1)
        with pytest.raises(ectool.EctoolError, match="method gradcam"):
            ectool.explain(wrapped, photos, window=3)
    else:
        ectool.explain(wrapped, photos)
        ectool.perturb(wrapped, photos, classes)
        ectool.consistency(wrapped, photos, classes)
    assert state(net) == before
    assert all(torch.equal(net.state_dict()[name], value) for name, value in weights.items())


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode", "autocast"])
def test_modes_of_the_caller_change_nothing(mode, wrapped, photos, classes) -> None:
    expected = ectool.perturb(wrapped, photos, classes, steps=2)
    modes = {"autocast": lambda: torch.autocast("cpu", torch.bfloat16)}
    with modes.get(mode, getattr(torch, mode, None))():
        found = ectool.perturb(wrapped, photos, classes, steps=2)
    assert torch.equal(found.images, expected.images)
    assert torch.equal(found.logits_adversarial, expected.logits_adversarial)


class TestRefused:
    def test_what_is_no_module(self) -> None:
        with pytest.raises(ectool.EctoolError, match=r"module: expected .*, got a str"):
            ectool.wrap("resnet18", MEAN, STD)

    def test_what_is_no_path(self, net) -> None:
        with pytest.raises(
            ectool.EctoolError, match=r"model: expected a path or a name, got a Net"
        ):
            ectool.load(net)

    def test_what_is_no_model(self, net, photos) -> None:
        with pytest.raises(ectool.EctoolError, match=r"model: .*got a Net; wrap it: ectool.wrap"):
            ectool.explain(net, photos)

    def test_a_normalisation_of_grey_levels(self, net) -> None:
        with pytest.raises(ectool.EctoolError, match=r"model's std: .*divide mean and std by 255"):
            ectool.wrap(net, MEAN, (58.0, 57.0, 57.0))
        with pytest.raises(ectool.EctoolError, match=r"mean: expected three numbers"):
            ectool.wrap(net, 0.5, STD)

    def test_names_for_other_classes(self, net, photos) -> None:
        with pytest.raises(ectool.EctoolError, match="class_names: expected 4 names"):
            ectool.wrap(net, MEAN, STD, class_names=["a", "b"])(photos)

    def test_images_that_the_network_does_not_accept(self, photos) -> None:
        flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
        with pytest.raises(ectool.EctoolError, match="network input: expected a network for RGB"):
            ectool.wrap(flat, MEAN, STD)(photos)

    def test_heatmaps_of_a_network_without_feature_maps(self, photos) -> None:
        flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
        wrapped = ectool.wrap(flat, MEAN, STD)
        assert wrapped.layer(16) is None
        with pytest.raises(ectool.EctoolError, match="heatmaps of Sequential"):
            ectool.explain(wrapped, photos)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"model": "resnet18"}, "got no such artifact and no checkpoint; .*add checkpoint"),
            ({"model": "resnet18", "checkpoint": "x.pth"}, "weights x.pth: .*got no such file"),
            ({"model": "none/model"}, "none/model: expected model artifact, got no folder"),
            ({"model": "smallcnn", "std": (0, 1, 1)}, "std: expected standard deviations"),
        ],
    )
    def test_models_that_do_not_exist(self, arguments, message) -> None:
        with pytest.raises(ectool.EctoolError, match=message):
            ectool.load(**arguments)

    def test_devices_that_do_not_exist(self, model: Path) -> None:
        with pytest.raises(ectool.EctoolError, match="device: expected a device of this machine"):
            ectool.load(model, device="cuda:99")


def test_a_loaded_artifact_is_the_network_in_its_folder(model: Path) -> None:
    found = ectool.load(model, device="cpu")
    assert not found.module.training
    assert found.layer(32) == "features"
    assert found(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_a_checkpoint_is_loaded_into_its_architecture(tmp_path: Path) -> None:
    from ectool.models.registry import create

    saved = create("smallcnn", "abc", seed=3)
    torch.save(saved.network.state_dict(), tmp_path / "weights.pth")
    found = ectool.load("smallcnn", checkpoint=tmp_path / "weights.pth", classes=3, device="cpu")
    images = torch.rand(2, 3, 32, 32)
    saved.eval()
    with torch.no_grad():
        torch.testing.assert_close(found(images), saved(images))
