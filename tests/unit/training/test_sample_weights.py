from __future__ import annotations

import math

import pytest
import torch

from ectool.training.sample_weights import SampleWeights


def weights(gamma=1.0, cap=10.0, momentum=0.0):
    return SampleWeights(6, gamma=gamma, cap=cap, momentum=momentum)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_the_definition_batch_by_batch(gamma):
    made, mean = weights(gamma, cap=1.5, momentum=0.3), None
    last = [1.0] * 6
    for number, (rows, values) in enumerate(
        [([4, 1], [0.2, 0.9]), ([0, 5], [0.5, math.nan]), ([1, 4], [0.0, 1.0])]
    ):
        first = number < 2
        found = made.update(torch.tensor(rows), torch.tensor(values), first=first)
        lacks = [(1 - e) ** gamma for e in values if not math.isnan(e)]
        now = sum(lacks) / len(lacks)
        mean = now if mean is None else 0.95 * mean + 0.05 * now
        for row, value, weight in zip(rows, values, found.tolist(), strict=True):
            fresh = 1.0 if math.isnan(value) else (1 - value) ** gamma / mean
            mixed = fresh if first else 0.3 * last[row] + 0.7 * fresh
            last[row] = min(mixed, 1.5)
            assert weight == pytest.approx(last[row], rel=1e-4, abs=1e-5)
    assert made.weight.tolist() == pytest.approx(last, rel=1e-4, abs=1e-5)
    assert made.read(torch.tensor([5, 2])).tolist() == [1, 1]


def test_full_consistency_gives_equal_weights():
    assert weights().update(torch.arange(3), torch.ones(3), first=True).tolist() == [1, 1, 1]


def test_scaling_gives_mean_one():
    made = weights()
    made.update(torch.arange(6), torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 1.0]), first=True)
    made.weight.mul_(3)
    made.scale()
    assert made.weight.mean().item() == pytest.approx(1)


def test_the_state_is_kept():
    made, other = weights(), weights()
    made.update(torch.arange(2), torch.tensor([0.1, 0.7]), first=True)
    other.load_state_dict(made.state_dict())
    later = torch.tensor([0.4, 0.2])
    assert (
        made.update(torch.arange(2), later, first=False)
        == other.update(torch.arange(2), later, first=False)
    ).all()
