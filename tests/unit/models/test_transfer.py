"""Copies between host and device; here the device is the CPU, or the meta device without values."""

import numpy as np
import pytest
import torch

from ectool.models.transfer import Fetch, copies_ahead, pinned, to_device

CPU, META = torch.device("cpu"), torch.device("meta")


def test_only_a_gpu_copies_pinned_memory_beside_the_host():
    assert [copies_ahead(torch.device(name)) for name in ("cpu", "cuda:1", "mps")] == [
        False,
        True,
        False,
    ]


def test_nothing_is_pinned_for_a_cpu():
    images = np.zeros((2, 3), np.uint8)
    assert pinned(images, CPU) is images


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.int64, np.float32])
@pytest.mark.parametrize("writeable", [True, False])
def test_values_arrive_unchanged(dtype, writeable):
    values = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    values.flags.writeable = writeable
    found = to_device(values, CPU)
    np.testing.assert_array_equal(found.numpy(), values)
    assert to_device(values, META).shape == (2, 3)


def test_tensors_stay_where_they_are_by_default():
    values = torch.ones(2, device=META)
    assert to_device(values) is values
    assert to_device(torch.ones(2), META).device == META


def test_arrays_are_those_that_were_given():
    maps = torch.arange(24.0).reshape(2, 3, 2, 2).to(memory_format=torch.channels_last)
    rows = np.arange(2)
    found = Fetch({"maps": maps, "rows": rows}).arrays()
    assert found["rows"] is rows
    assert found["maps"].flags.c_contiguous
    np.testing.assert_array_equal(found["maps"], np.arange(24.0).reshape(2, 3, 2, 2))


def test_a_graph_does_not_come_along():
    weights = torch.ones(3, requires_grad=True)
    np.testing.assert_array_equal(Fetch({"logits": weights * 2}).arrays()["logits"], [2, 2, 2])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
class TestOnGPU:
    def test_memory_is_pinned_and_may_be_released_at_once(self):
        device = torch.device("cuda")
        parts = [np.full((64, 3, 64, 64), k, np.uint8) for k in range(20)]
        tensors = [to_device(pinned(part, device), device) for part in parts]
        assert [int(t.float().mean()) for t in tensors] == list(range(20))

    def test_arrays_are_complete_after_waiting(self):
        values = torch.ones(2048, 2048, device="cuda")
        for _ in range(20):
            values = values @ values / 2048
        assert Fetch({"x": values}).arrays()["x"].min() == pytest.approx(1, abs=1e-3)
