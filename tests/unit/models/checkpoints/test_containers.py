from __future__ import annotations

import argparse
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.models.checkpoints.containers import select_weights
from ectool.models.checkpoints.tensors import read_tensors

STATE = {"conv.weight": torch.ones(2, 3), "layers.0.model.bias": torch.full((2,), 2.0)}
SUFFIXES = [".pth", ".pt", ".ckpt", ".bin", ".pth.tar"]
CONTAINERS = ["state_dict", "model", "model_state_dict", "net", "network", "weights", "module"]
PREFIXES = ["module.", "_orig_mod.", "network.", "model.", "net.", "backbone."]
NESTED = ["module._orig_mod.network.", "_orig_mod.module.", "model.model.module.", "net.backbone."]


def prefixed(prefix: str, factor: float = 1) -> dict[str, Tensor]:
    return {prefix + name: value * factor for name, value in STATE.items()}


def found(content: object, path, entry: str | None = None) -> tuple[dict[str, Tensor], list[str]]:
    """Write a file and find the weights in it."""
    (save_file if path.suffix == ".safetensors" else torch.save)(content, path)
    return select_weights(read_tensors(path), STATE, entry, path)[:2]


def assert_found(content: object, path, entry: str | None = None, factor: float = 1) -> None:
    state, _ = found(content, path, entry)
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], value * factor) for name, value in STATE.items())


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".safetensors"])
def test_bare_state_dicts(tmp_path, suffix):
    assert_found(STATE, tmp_path / f"bare{suffix}")


@pytest.mark.parametrize("container", [*CONTAINERS, "network.state_dict"])
def test_containers_among_other_contents(tmp_path, container):
    content = STATE
    for key in reversed(container.split(".")):
        content = {key: content, "epoch": 3, "optimizer": {"state": {0: torch.ones(3)}}}
    assert_found(content, tmp_path / "foreign.pth")


@pytest.mark.parametrize("prefix", [*PREFIXES, *NESTED])
def test_prefixes_of_wrappers_are_dropped(tmp_path, prefix):
    assert_found({"state_dict": prefixed(prefix)}, tmp_path / "foreign.pth")
    assert_found(prefixed(prefix), tmp_path / "foreign.safetensors")


@pytest.mark.parametrize(
    "wrapper", ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"]
)
def test_parts_that_were_wrapped_on_their_own(tmp_path, wrapper):
    content = {name.replace("layers.0.", f"layers.0.{wrapper}."): v for name, v in STATE.items()}
    assert_found(content, tmp_path / "compiled.pth")


def test_checkpoints_of_lightning(tmp_path):
    content = {
        "epoch": 7,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": OrderedDict(prefixed("model.") | {"criterion.weight": torch.ones(5)}),
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{}]}],
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best": torch.tensor(0.1)}},
        "hyper_parameters": {"lr": 0.1},
    }
    assert_found(content, tmp_path / "epoch=7.ckpt")
    _, beside = found(content, tmp_path / "epoch=7.ckpt")
    best = "callbacks.ModelCheckpoint{'monitor': 'loss'}.best"
    assert beside == ["state_dict.criterion.weight", best]


AVERAGES = ["state_dict_ema", "model_ema", "ema_state_dict", "ema", "ema_model", "params_ema"]


@pytest.mark.parametrize("name", AVERAGES)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_plain_and_averaged_weights(tmp_path, name, prefix):
    content = {"state_dict": prefixed(prefix), name: prefixed(prefix, 3), "version": 2}
    path = tmp_path / "timm.pth.tar"
    assert_found(content, path)
    assert_found(content, path, entry="state_dict")
    assert_found(content, path, entry="ema", factor=3)
    assert_found(content, path, entry=name, factor=3)


def test_an_averaged_model_of_torch(tmp_path):
    network = nn.Module()
    network.conv = nn.Conv2d(1, 1, 1)
    averaged = torch.optim.swa_utils.AveragedModel(network).state_dict()
    assert "n_averaged" in averaged
    path = tmp_path / "averaged.pth"
    for content, entry in ((averaged, None), ({"model": {}, "model_ema": averaged}, "ema")):
        torch.save(content, path)
        state, beside, *_ = select_weights(read_tensors(path), network.state_dict(), entry, path)
        assert state.keys() == network.state_dict().keys()
        assert [name.rpartition(".")[2] for name in beside] == ["n_averaged"]


@pytest.mark.parametrize("entry", ["teacher", "ssl.student", "ssl.student.net"])
def test_entries_by_their_dotted_name(tmp_path, entry):
    content = {"teacher": prefixed("net.", 2), "ssl": {"student": {"net": STATE}}, "n": {}}
    assert_found(content, tmp_path / "ssl.pth", entry, factor=2 if entry == "teacher" else 1)


def test_entries_are_beginnings_of_names_in_safetensors(tmp_path):
    content = prefixed("student.backbone.") | prefixed("teacher.backbone.", 2)
    assert_found(content, tmp_path / "ssl.safetensors", "student")


@pytest.mark.parametrize("entry", ["ema", "model_avg", "mod", "model.net", ""])
def test_unknown_entries_are_refused_with_the_known_ones(tmp_path, entry):
    content = {"model": STATE, "swa": STATE, "epoch": 3}
    message = f"an entry '{entry}', got the entries model, swa; give one of them"
    with pytest.raises(InputError, match=message):
        found(content, tmp_path / "some.pth", entry)


@pytest.mark.parametrize("prefix", ["classifier.", "lit.resnet.", "momentum_encoder."])
def test_any_other_prefix_of_all_weights_is_dropped(tmp_path, prefix):
    content = prefixed(prefix) | prefixed("model.ema.", 3) | {f"{prefix}2.weight": torch.ones(1)}
    path = tmp_path / "lit.ckpt"
    torch.save({"state_dict": content}, path)
    state, _, found, _ = select_weights(read_tensors(path), STATE, None, path)
    assert found == f"state_dict.{prefix}"
    assert all(torch.equal(state[name], value) for name, value in STATE.items())


def test_slowly_moving_copies_are_left_out(tmp_path):
    content = prefixed("encoder_q.") | prefixed("encoder_k.", 2)
    assert_found(content, tmp_path / "moco.pth")
    with pytest.raises(InputError, match="one set of weights, got 2: student, teacher"):
        found(prefixed("student.") | prefixed("teacher."), tmp_path / "two.pth")


def test_two_sets_of_weights_need_a_choice(tmp_path):
    content = {"model": STATE, "net": prefixed("", 2)}
    message = "one set of weights, got 2: net, model; give one of them as --entry"
    with pytest.raises(InputError, match=message):
        found(content, tmp_path / "two.pth")
    assert_found(content, tmp_path / "two.pth", "net", factor=2)


def test_weights_of_another_network_are_unchanged(tmp_path):
    state, beside = found({"w0": torch.ones(1), "w1": torch.ones(1)}, tmp_path / "other.pth")
    assert (list(state), beside) == (["w0", "w1"], [])


def test_harmless_objects_in_addition_to_the_weights(tmp_path):
    content = {
        "model": STATE,
        "args": argparse.Namespace(lr=0.1, data="imagenet", output=tmp_path),
        "metric": np.float64(71.5),
        "best": np.float32(70),
        "seen": np.int64(10),
        "schedule": {"milestones": [30, 60]},
    }
    assert_found(content, tmp_path / "args.pth")
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


def test_options_that_hold_other_objects_are_refused(tmp_path):
    content = {"model": STATE, "args": argparse.Namespace(share=Fraction(1, 2))}
    with pytest.raises(InputError, match=r"objects than tensors, fractions\.Fraction; save the"):
        found(content, tmp_path / "args.pth")
