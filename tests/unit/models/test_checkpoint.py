from __future__ import annotations

import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from ectool.errors import InputError
from ectool.models.checkpoint import load_weights, save_weights
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


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".bin"])
@pytest.mark.parametrize("container", [None, "state_dict", "model", "model_state_dict"])
def test_torch_files_bare_and_contained(source, model, tmp_path, suffix, container):
    content = state(source)
    if container:
        content = {container: content, "epoch": 3, "optimizer": {"lr": 0.1}}
    torch.save(content, tmp_path / f"foreign{suffix}")
    load_weights(model, tmp_path / f"foreign{suffix}")
    assert_equal(state(model), state(source))


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "network.", "model.", "module._orig_mod.network."]
)
def test_prefixes_of_wrappers_are_dropped(source, model, tmp_path, prefix):
    torch.save({"state_dict": prefixed(prefix, source)}, tmp_path / "foreign.pth")
    load_weights(model, tmp_path / "foreign.pth")
    assert_equal(state(model), state(source))


def test_a_saved_classifier_loads_too(source, model, tmp_path):
    save_file(prefixed("network.", source), tmp_path / "classifier.safetensors")
    load_weights(model, tmp_path / "classifier.safetensors")
    assert_equal(state(model), state(source))


def test_auxiliary_heads_are_left_out(source, model, tmp_path):
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


def refused(model: Classifier, path, match: str) -> None:
    """Check that the file is refused with one line and the model is left as it was."""
    before = state(model)
    with pytest.raises(InputError, match=match) as caught:
        load_weights(model, path)
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


def test_long_lists_of_names_are_cut(model, tmp_path):
    save_file({f"w{i}": torch.ones(1) for i in range(9)}, tmp_path / "other.safetensors")
    refused(model, tmp_path / "other.safetensors", r"9 \(w0, w1, w2, …\) unexpected")


def test_another_number_of_classes_names_both(model, tmp_path):
    save_weights(create("smallcnn", tuple("abcdefg"), seed=0), tmp_path / "seven.safetensors")
    refused(model, tmp_path / "seven.safetensors", "a head for 5 classes, got one for 7 classes")


def test_another_width_is_refused(source, model, tmp_path):
    content = state(source) | {"features.1.weight": torch.ones(7)}
    save_file(content, tmp_path / "wide.safetensors")
    refused(model, tmp_path / "wide.safetensors", "size mismatch for features.1.weight")


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
    torch.save(source, tmp_path / "module.pth")
    refused(model, tmp_path / "module.pth", "other pickled objects than tensors")


def test_pickled_code_never_runs(model, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").touch, ()

    (tmp_path / "trap.pth").write_bytes(pickle.dumps({"w": Trap()}))
    refused(model, tmp_path / "trap.pth", "other pickled objects than tensors")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "got"),
    [(torch.ones(3), "Tensor"), ({}, "0 of 0"), ({"lr": 0.1, "w": torch.ones(1)}, "1 of 2")],
)
def test_files_of_something_else_are_refused(model, tmp_path, content, got):
    torch.save(content, tmp_path / "else.pth")
    refused(model, tmp_path / "else.pth", got)
