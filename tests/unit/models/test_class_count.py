from __future__ import annotations

import sys

import pytest
import torch

from ectool.errors import InputError
from ectool.models.class_count import class_count
from ectool.models.registry import create

CODE = """
from torch import nn

def fixed():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6))
"""


@pytest.fixture(scope="module")
def network():
    return create("smallcnn", tuple("abcdefg"), seed=0).network


@pytest.fixture
def saved(network, tmp_path):
    path = tmp_path / "w.pth"

    def save(change=lambda state: state):
        torch.save(change(network.state_dict()), path)
        return path

    return save


@pytest.mark.parametrize("prefix", ["", "module.", "state_dict.model.", "lit.classifier."])
def test_the_rows_of_the_head_are_counted(saved, prefix):
    path = saved(lambda state: {prefix + name: value for name, value in state.items()})
    assert class_count("smallcnn", path) == 7


def test_an_entry_is_counted(saved, network):
    path = saved(
        lambda state: {"model": {}, "model_ema": {f"module.{n}": v for n, v in state.items()}}
    )
    assert class_count("smallcnn", path, entry="ema") == 7


def test_a_factory_of_fixed_size_says_it_itself(saved, tmp_path, monkeypatch):
    (tmp_path / "fixed_zoo.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    assert class_count("import:fixed_zoo:fixed", saved()) == 6
    sys.modules.pop("fixed_zoo")


def test_a_program_is_asked(network, tmp_path):
    torch.jit.trace(network.eval(), torch.rand(2, 3, 32, 32)).save(str(tmp_path / "net.pt"))
    assert class_count(f"torchscript:{tmp_path / 'net.pt'}", None, size=(32, 32)) == 7


def test_files_without_a_head_are_refused(saved):
    path = saved(lambda state: {n: v for n, v in state.items() if not n.startswith("head")})
    message = r"a backbone: 2 \(head.weight, head.bias\) missing.*--reset-head of adopt and train"
    with pytest.raises(InputError, match=message):
        class_count("smallcnn", path)


def test_files_of_another_network_are_refused(saved):
    path = saved(lambda state: {"w": torch.ones(2, 2)})
    with pytest.raises(InputError, match=r"got 22 \(.*\) missing, 1 \(w\) unexpected; name"):
        class_count("smallcnn", path)
