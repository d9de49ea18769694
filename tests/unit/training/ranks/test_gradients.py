from __future__ import annotations

import pytest
import torch
from torch import nn

from ectool.training.ranks import gradients
from ectool.training.ranks.gradients import add_gradients
from tests.gloo import on_ranks


def parameters(rank):
    """Return parameters with a gradient on both, one, and no rank; frozen; of another type."""
    made = [nn.Parameter(torch.zeros(2, 3)) for _ in range(4)]
    made.append(nn.Parameter(torch.zeros(4, dtype=torch.float64)))
    made[3].requires_grad_(False)
    made[0].grad = torch.full((2, 3), rank + 1.0)
    made[1].grad = torch.full((2, 3), 5.0) if rank == 1 else None
    made[4].grad = torch.full((4,), 10.0**-12, dtype=torch.float64)
    return made


def added(ranks, **options):
    made = parameters(ranks.rank)
    add_gradients(made, ranks.sums, **options)
    return [None if p.grad is None else p.grad.unique().tolist() for p in made]


@pytest.mark.parametrize("bucket", [1, 2**23])
def test_gradients_are_summed(bucket, monkeypatch):
    monkeypatch.setattr(gradients, "BUCKET", bucket)
    assert on_ranks(2, added) == [[[3.0], [5.0], None, None, [2e-12]]] * 2


def test_only_the_first_rank_counts_where_all_compute_the_same():
    found = on_ranks(2, lambda ranks: added(ranks, counts=ranks.is_first))
    first = [[1.0], [0.0], None, None, [1e-12]]
    assert found == [[[1.0], None, *first[2:]], first]


def test_the_memory_format_of_gradients_stays():
    def add(ranks):
        weight = nn.Parameter(torch.rand(4, 3, 2, 2).contiguous(memory_format=torch.channels_last))
        weight.grad = torch.arange(48.0).view(4, 3, 2, 2) * (ranks.rank + 1)
        weight.grad = weight.grad.contiguous(memory_format=torch.channels_last)
        add_gradients([weight], ranks.sums)
        return weight.grad

    for gradient in on_ranks(2, add):
        assert gradient.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(gradient, 3 * torch.arange(48.0).view(4, 3, 2, 2))
