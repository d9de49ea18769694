"""Half precision is a copy; pixels are normalised before they lose bits."""

from __future__ import annotations

import pytest
import torch

from ectool.models.precision import in_precision
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
