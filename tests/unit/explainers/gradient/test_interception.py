from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ectool.explainers.gradient.interception import (
    Interception,
    Notes,
    is_in_place,
    scale_and_shift,
)

VALUES = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def negated(func, *args, **kwargs):
    return -func(*args, **kwargs)


@pytest.mark.parametrize(
    "call",
    [
        nn.ReLU(),
        F.relu,
        torch.relu,
        torch.Tensor.relu,
        torch.ops.aten.relu.default,
        nn.Sequential(nn.Identity(), nn.ReLU()),
    ],
)
def test_every_spelling_is_intercepted(call):
    with torch.enable_grad(), Interception({"relu": negated}):
        found = call(VALUES)
    assert torch.equal(found, -VALUES.relu())


def test_other_functions_and_those_without_a_graph_are_left_alone():
    with Interception({"relu": negated}):
        assert torch.equal(VALUES.sigmoid(), torch.sigmoid(VALUES))
        with torch.no_grad():
            assert torch.equal(VALUES.relu(), VALUES.clamp(min=0))


def test_nothing_is_intercepted_afterwards_and_after_an_exception():
    with pytest.raises(ValueError, match="stop"), Interception({"relu": negated}):
        raise ValueError("stop")
    assert torch.equal(VALUES.relu(), VALUES.clamp(min=0))


def test_in_place():
    assert is_in_place(torch.relu_)
    assert is_in_place(F.relu, True)
    assert not is_in_place(F.relu)
    assert is_in_place(torch.ops.aten.relu_.default)


def test_notes_are_forgotten_where_a_tensor_is_overwritten():
    notes: Notes[str] = Notes()
    tensor = VALUES.clone()
    notes[tensor] = "fresh"
    assert notes.get(tensor) == "fresh"
    assert notes.get(VALUES) is None
    tensor.relu_()
    assert notes.get(tensor) is None


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("order", ["python", "python, by name", "native"])
def test_scale_and_shift(affine, order):
    generator = torch.Generator().manual_seed(1)
    mean, variance, weight, bias = torch.rand(4, 3, generator=generator)
    if not affine:
        weight = bias = None
    if order == "native":
        call = (torch.batch_norm, (VALUES, weight, bias, mean, variance, False, 0.1, 1e-3, False))
        call = (*call, {})
    elif order == "python":
        call = (F.batch_norm, (VALUES, mean, variance, weight, bias, False, 0.1, 1e-3), {})
    else:
        named = {"weight": weight, "bias": bias, "eps": 1e-3}
        call = (F.batch_norm, (VALUES, mean, variance), named)
    func, args, kwargs = call
    scale, shift = (vector[:, None, None] for vector in scale_and_shift(*call))
    torch.testing.assert_close(scale * VALUES + shift, func(*args, **kwargs))


def test_without_running_statistics_the_bias_remains():
    args = (VALUES, None, None, torch.full((3,), 2.0), torch.full((3,), 5.0), True)
    scale, shift = scale_and_shift(F.batch_norm, args, {})
    assert scale.tolist() == [2, 2, 2]
    assert shift.tolist() == [5, 5, 5]
