"""Half precision is a copy; pixels are normalised before they lose bits."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ectool.errors import UsageError
from ectool.models import precision
from ectool.models.classifier import Classifier, ModelSpec
from ectool.models.precision import full_precision, has_bf16, in_precision, mixed, multiply_adds
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


class TestMixed:
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    cpu = torch.device("cpu")

    def test_logits_are_float32_and_near_those_of_float32(self, model):
        with mixed("bf16", self.cpu):
            found = model(self.images)
        assert found.dtype == torch.float32
        assert not torch.equal(found, model(self.images))
        torch.testing.assert_close(found, model(self.images), rtol=0, atol=0.05)

    def test_fp32_changes_nothing(self, model):
        with mixed("fp32", self.cpu):
            assert torch.equal(model(self.images), model(self.images))

    def test_a_pass_without_gradients_leaves_those_of_the_next(self, model):
        """Autocast with a cache keeps the weights that it cast without a graph."""
        gradients = []
        for before in (False, True):
            with mixed("bf16", self.cpu):
                if before:
                    with torch.no_grad():
                        model(self.images)
                loss = model(self.images).square().mean()
            gradients.append(torch.autograd.grad(loss, list(model.parameters())))
        assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
        assert {gradient.dtype for gradient in gradients[0]} == {torch.float32}
        assert all(gradient.any() for gradient in gradients[0][:1])

    def test_a_part_of_it_can_be_exact(self):
        rows = self.images.flatten(1)
        with mixed("bf16", self.cpu):
            rounded = rows @ rows.T
            with full_precision(self.cpu):
                exact = rows @ rows.T
        assert (rounded.dtype, exact.dtype) == (torch.bfloat16, torch.float32)
        assert torch.equal(exact, rows @ rows.T)

    def test_a_device_without_it_is_refused(self):
        with pytest.raises(UsageError, match="--precision bf16: expected a device with mixed"):
            mixed("bf16", torch.device("meta"))
