"""Half precision is a copy; pixels are normalised before they lose bits."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ectool.models import precision
from ectool.models.classifier import Classifier, ModelSpec
from ectool.models.precision import has_bf16, in_precision, multiply_adds
from ectool.models.registry import create


@pytest.fixture(scope="module")
def model():
    return create("smallcnn", ["a", "b", "c"], seed=0, input_size=(16, 16)).eval()


def test_the_copy_computes_in_half_precision_and_the_model_stays(model):
    half = in_precision(model, "bf16")
    assert {p.dtype for p in half.network.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = half(images)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), model(images), rtol=0, atol=0.05)


def test_neighbouring_grey_levels_stay_apart(model):
    seen = []
    half = in_precision(model, "bf16")
    half.network.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    levels = torch.tensor([127.0, 128, 129]).view(3, 1, 1, 1).expand(3, 3, 16, 16) / 255
    half(levels)
    assert len(seen[0][:, 0, 0, 0].unique()) == 3


def test_nothing_is_copied_where_nothing_changes(model):
    assert in_precision(model, "fp32") is model


def test_multiply_adds_are_those_of_the_layers():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, stride=2, groups=4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )
    spec = ModelSpec("own", tuple("abcde"), (16, 12), (0.5,) * 3, (0.5,) * 3, "1", "nchw")
    expected = 16 * 12 * 8 * 3 * 9 + 7 * 5 * 8 * 2 * 9 + 8 * 5
    assert multiply_adds(Classifier(network, spec), (16, 12)) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="the flags of the processor are a file")
def test_instructions_are_those_of_the_kernel(monkeypatch, tmp_path):
    flags = set(Path("/proc/cpuinfo").read_text().split())
    cpu = torch.device("cpu")
    assert has_bf16(cpu) == bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert has_bf16(cpu) == bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
    for text, expected in (("flags: avx2 avx512_bf16", True), ("flags: avx2 avx512f", False)):
        monkeypatch.setattr(precision, "PROCESSOR_FLAGS", tmp_path / "cpuinfo")
        (tmp_path / "cpuinfo").write_text(text)
        assert has_bf16(cpu) == expected
    (tmp_path / "cpuinfo").unlink()
    assert not has_bf16(cpu)
    assert not has_bf16(torch.device("meta"))
