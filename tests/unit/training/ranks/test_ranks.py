from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ectool.training.batch import Position, step_generator
from ectool.training.ranks.part import WHOLE
from ectool.training.ranks.ranks import ALONE, Ranks
from tests.gloo import on_ranks


@pytest.mark.parametrize("count", [2, 3, 7, 9])
def test_every_row_belongs_to_one_rank(count):
    rows = np.random.default_rng(0).permutation(count)
    parts = [Ranks(2, rank, object()).part_of(rows) for rank in range(2)]
    assert np.concatenate([own for own, _ in parts]).tolist() == rows.tolist()
    sizes = [len(own) for own, _ in parts]
    assert max(sizes) - min(sizes) <= 1
    for own, part in parts:
        assert list(part.sizes) == sizes
        assert part.own(rows.tolist()) == own.tolist()


def test_all_ranks_compute_a_batch_with_fewer_rows_and_the_first_counts():
    rows = np.arange(2)
    found = [Ranks(3, rank, object()) for rank in range(3)]
    for ranks in found:
        own, part = ranks.part_of(rows)
        assert (own.tolist(), part) == ([0, 1], WHOLE)
    assert [ranks.counts(WHOLE) for ranks in found] == [True, False, False]


def test_one_process_computes_everything():
    rows, part = ALONE.part_of(np.arange(3))
    assert (rows.tolist(), part) == ([0, 1, 2], WHOLE)
    assert ALONE.counts(part)
    model = nn.Linear(2, 2)
    assert ALONE.agreed(model) is model
    assert ALONE.first(7) == 7
    assert ALONE.gather(torch.ones(2)).tolist() == [[1, 1]]


def test_the_first_rank_decides():
    def agree(ranks):
        model = nn.BatchNorm1d(3)
        nn.init.constant_(model.weight, ranks.rank + 1)
        model.num_batches_tracked += ranks.rank + 5
        state = ranks.agreed(model).state_dict()
        return state, ranks.first(ranks.rank + 10), ranks.gather(torch.tensor(ranks.rank)).tolist()

    for state, number, values in on_ranks(2, agree):
        assert state["weight"].tolist() == [1, 1, 1]
        assert state["num_batches_tracked"] == 5
        assert (number, values) == (10, [0, 1])


def test_dropout_differs_between_ranks_and_not_between_runs():
    def drop(ranks, rows):
        _, part = ranks.part_of(np.arange(rows))
        place = Position(0, 3, 0.0, step_generator(0, 0, 3))
        with ranks.step(part, place):
            return torch.rand(4).tolist()

    # Threads share the random state of torch, so the ranks take turns.
    first, second = (Ranks(2, rank, object()) for rank in range(2))
    with torch.random.fork_rng():
        assert drop(first, 4) != drop(second, 4)
        assert drop(first, 4) == drop(first, 6)
        assert drop(first, 1) == drop(second, 1)


def test_one_process_draws_from_the_state_as_it_is():
    place = Position(0, 0, 0.0, step_generator(0, 0, 0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = torch.rand(2)
        torch.manual_seed(0)
        with ALONE.step(WHOLE, place):
            assert torch.equal(torch.rand(2), expected)
