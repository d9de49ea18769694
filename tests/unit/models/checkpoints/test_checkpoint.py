from __future__ import annotations

import argparse
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ectool.errors import InputError
from ectool.models.checkpoints.checkpoint import load_weights, save_weights
from ectool.models.classifier import Classifier
from ectool.models.registry import create

CLASSES = tuple("abcde")


@pytest.fixture(scope="module")
def source() -> Classifier:
    return create("smallcnn", CLASSES, seed=1)


@pytest.fixture
def model() -> Classifier:
    return create("smallcnn", CLASSES, seed=2)


def state(model: Classifier) -> dict[str, torch.Tensor]:
    return {
        name: value.clone(memory_format=torch.contiguous_format)
        for name, value in model.network.state_dict().items()
    }


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def prefixed(prefix: str, source: Classifier) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in state(source).items()}


def test_weights_survive_a_file(source, model, tmp_path):
    save_weights(source, tmp_path / "model.safetensors")
    load_weights(model, tmp_path / "model.safetensors")
    assert_equal(state(model), state(source))
    weight = model.network.features[3].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_equal_weights_give_equal_bytes(source, model, tmp_path):
    model.load_state_dict(source.state_dict())
    save_weights(source, tmp_path / "a.safetensors")
    save_weights(model, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert_equal(load_file(tmp_path / "a.safetensors"), state(source))


def test_weights_that_are_used_twice_survive_a_file(tmp_path):
    model, twin = (create("smallcnn", CLASSES, seed=seed) for seed in (1, 2))
    for each in (model, twin):
        each.network.features[4].bias = each.network.features[4].weight
    save_weights(model, tmp_path / "tied.safetensors")
    load_weights(twin, tmp_path / "tied.safetensors")
    assert_equal(state(twin), state(model))
    assert twin.network.features[4].bias is twin.network.features[4].weight


def test_checkpoints_of_training_scripts(source, model, tmp_path):
    averaged = torch.optim.swa_utils.AveragedModel(source.network, use_buffers=True)
    content = {
        "model": prefixed("module.", model),
        "model_ema": averaged.state_dict(),
        "optimizer": {"state": {0: {"step": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]},
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1),
    }
    torch.save(content, tmp_path / "checkpoint.pth")
    before = state(model)
    load_weights(model, tmp_path / "checkpoint.pth", entry="ema")
    assert_equal(state(model), state(source))
    load_weights(model, tmp_path / "checkpoint.pth")
    assert_equal(state(model), before)


def test_unknown_entries_are_refused(source, model, tmp_path):
    torch.save({"model": state(source)}, tmp_path / "plain.pth")
    refused(model, tmp_path / "plain.pth", "an entry 'ema', got the entries model;", entry="ema")


def test_a_saved_classifier_loads_too(source, model, tmp_path):
    save_file(prefixed("network.", source), tmp_path / "classifier.safetensors")
    load_weights(model, tmp_path / "classifier.safetensors")
    assert_equal(state(model), state(source))


def test_auxiliary_heads_are_ignored(source, model, tmp_path):
    content = state(source) | {"aux1.fc1.weight": torch.ones(2), "AuxLogits.fc.bias": torch.ones(2)}
    torch.save(content, tmp_path / "aux.pth")
    load_weights(model, tmp_path / "aux.pth")
    assert_equal(state(model), state(source))


def test_old_densenet_names(tmp_path):
    densenet = create("densenet121", CLASSES, seed=1, input_size=(64, 64))
    twin = create("densenet121", CLASSES, seed=2, input_size=(64, 64))
    old = {}
    for name, value in densenet.network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        for part in ("norm", "conv"):
            for index in "12":
                if "denselayer" in name:
                    name = name.replace(f"{part}{index}.", f"{part}.{index}.")
        old[name] = value
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "densenet.pth")
    load_weights(twin, tmp_path / "densenet.pth")
    assert_equal(state(twin), state(densenet))


def test_a_model_keeps_its_type(source, model, tmp_path):
    save_weights(source, tmp_path / "model.safetensors")
    load_weights(model.half(), tmp_path / "model.safetensors")
    assert model.network.head.weight.dtype == torch.float16


def refused(model: Classifier, path, match: str, **options) -> None:
    """Check that the file is refused with one line and the model is unchanged."""
    before = state(model)
    with pytest.raises(InputError, match=match) as caught:
        load_weights(model, path, **options)
    assert "\n" not in str(caught.value)
    assert_equal(state(model), before)


def test_half_matching_checkpoints_are_refused(source, model, tmp_path):
    content = state(source)
    content["features.3.bias"] = content.pop("features.3.weight").sum((1, 2, 3))
    save_file(content, tmp_path / "half.safetensors")
    refused(
        model,
        tmp_path / "half.safetensors",
        r"1 \(features.3.weight\) missing, 1 \(features.3.bias\) unexpected",
    )


def test_networks_without_their_head_are_refused_and_other_tensors_are_named(
    source, model, tmp_path
):
    content = {f"backbone.{n}": v for n, v in state(source).items() if not n.startswith("head")}
    content |= {"classifier.weight": torch.ones(5, 96)}
    torch.save({"state_dict": content}, tmp_path / "lightning.ckpt")
    got = r"2 \(head.weight, head.bias\) missing, .* 1 \(state_dict.classifier.weight\) elsewhere"
    refused(model, tmp_path / "lightning.ckpt", got)


def test_long_lists_of_names_are_cut(model, tmp_path):
    save_file({f"w{i}": torch.ones(1) for i in range(9)}, tmp_path / "other.safetensors")
    refused(model, tmp_path / "other.safetensors", r"9 \(w0, w1, w2, …\) unexpected")


def test_another_number_of_classes_names_both(model, tmp_path):
    save_weights(create("smallcnn", tuple("abcdefg"), seed=0), tmp_path / "seven.safetensors")
    refused(model, tmp_path / "seven.safetensors", "a head for 5 classes, got one for 7 classes")


@pytest.mark.parametrize("classes", ["abcde", "abcdefg"])
def test_a_head_can_stay_fresh(model, tmp_path, classes):
    other = create("smallcnn", tuple(classes), seed=0)
    save_weights(other, tmp_path / "other.safetensors")
    before = state(model)
    load_weights(model, tmp_path / "other.safetensors", reset_head=True)
    for name, value in state(model).items():
        assert torch.equal(value, before[name] if name.startswith("head.") else state(other)[name])


def test_a_head_that_is_not_there_can_stay_fresh(source, model, tmp_path):
    content = {n: v for n, v in prefixed("backbone.", source).items() if "head" not in n}
    torch.save({"state_dict": content | {"proj.weight": torch.ones(3)}}, tmp_path / "ssl.ckpt")
    load_weights(model, tmp_path / "ssl.ckpt", reset_head=True)
    assert torch.equal(model.network.features[0].weight, source.network.features[0].weight)


def test_fresh_heads_do_not_excuse_other_mismatches(source, model, tmp_path):
    content = state(source)
    del content["features.0.weight"]
    save_file(content, tmp_path / "half.safetensors")
    got = r"1 \(features.0.weight\) missing, none unexpected"
    refused(model, tmp_path / "half.safetensors", got, reset_head=True)


def test_another_width_is_refused(source, model, tmp_path):
    content = state(source) | {"features.1.weight": torch.ones(7)}
    save_file(content, tmp_path / "wide.safetensors")
    got = r"1 \(features.1.weight 7 for 24\) of another shape"
    refused(model, tmp_path / "wide.safetensors", got)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(source, model, tmp_path, value):
    content = state(source)
    content["head.bias"][2] = value
    save_file(content, tmp_path / "nan.safetensors")
    refused(model, tmp_path / "nan.safetensors", "NaN or infinity in head.bias")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 torn zip"])
def test_unreadable_files_are_refused(model, tmp_path, suffix, content):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    refused(model, path, "broken.* expected a state dict")


def test_truncated_files_are_refused(source, model, tmp_path):
    torch.save(state(source), tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "torn.pth").write_bytes(whole[: len(whole) // 2])
    refused(model, tmp_path / "torn.pth", "torn.pth: expected a state dict")


def test_missing_files_are_refused(model, tmp_path):
    refused(model, tmp_path / "none.pth", "none.pth: .* got no such file")


def test_other_suffixes_are_refused(model, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x")
    refused(model, tmp_path / "model.onnx", "suffix '.onnx'")


def test_pickled_modules_are_refused_without_running_them(source, model, tmp_path):
    torch.save({"model": source}, tmp_path / "module.pth")
    got = "other pickled objects than tensors, ectool.models.classifier.Classifier, ectool.models"
    refused(model, tmp_path / "module.pth", got)


def test_programs_are_not_checkpoints(model, tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "program.pt")
    refused(model, tmp_path / "program.pt", "a TorchScript program; .* torchscript:.*program.pt")


def test_pickled_code_never_runs(model, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").touch, ()

    (tmp_path / "trap.pth").write_bytes(pickle.dumps({"w": Trap()}))
    refused(model, tmp_path / "trap.pth", "other pickled objects than tensors")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (torch.ones(3), "got one Tensor"),
        ([torch.ones(3)], "got one list"),
        ({}, "no tensors inside"),
        ({"lr": 0.1, "state": {0: torch.ones(1)}}, "no tensors inside"),
        ({"lr": 0.1, "w": torch.ones(1)}, r"22 \(.*\) missing, 1 \(w\) unexpected"),
    ],
)
def test_files_of_something_else_are_refused(model, tmp_path, content, got):
    torch.save(content, tmp_path / "else.pth")
    refused(model, tmp_path / "else.pth", got)
