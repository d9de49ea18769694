"""Values over parts of a batch against the joined batch."""

from __future__ import annotations

import torch

from ectool.training.ranks.part import WHOLE, Part
from tests.gloo import on_ranks

SIZES = (3, 2, 2)
TOTAL = sum(SIZES)
CPU = torch.device("cpu")


def part_of(ranks):
    return Part(SIZES, ranks.rank, ranks.sums)


def test_parts_are_disjoint_and_complete():
    rows = list(range(TOTAL))
    parts = [Part(SIZES, rank, object()) for rank in range(3)]
    assert [row for part in parts for row in part.own(rows)] == rows
    assert [part.count(2) for part in parts] == [TOTAL] * 3


def test_one_process_has_the_whole_batch():
    values = torch.rand(4, 2)
    for found in (WHOLE.own(values), WHOLE.whole(values), WHOLE.weigh(values)):
        assert found is values
    assert WHOLE.total(values) is values
    assert WHOLE.among(torch.tensor([True])) is WHOLE
    assert WHOLE.count(4) == 4
    assert WHOLE.draw(3, torch.ones, CPU).tolist() == [1, 1, 1]


def test_each_row_has_the_draws_of_one_process():
    def draw(count):
        return torch.rand(count, 2, generator=torch.Generator().manual_seed(0))

    found = on_ranks(3, lambda ranks: part_of(ranks).draw(1, draw, CPU))
    assert torch.equal(torch.cat(found), draw(TOTAL))


def test_whole_values_are_those_of_all_ranks():
    values = [torch.arange(TOTAL), torch.arange(TOTAL) % 2 == 0, torch.rand(TOTAL, 2, 3)]
    values += [torch.arange(TOTAL, dtype=torch.int8) - 3]

    def gather(ranks):
        part = part_of(ranks)
        return [part.whole(part.own(value)) for value in values]

    for found in on_ranks(3, gather):
        for value, expected in zip(found, values, strict=True):
            assert torch.equal(value, expected)
            assert value.dtype == expected.dtype


def test_gradients_through_whole_values_are_those_of_the_sum_of_all_losses():
    values = torch.rand(TOTAL, dtype=torch.float64)
    factors = torch.rand(3, TOTAL, dtype=torch.float64)

    def slope(ranks):
        part = part_of(ranks)
        own = part.own(values).clone().requires_grad_()
        loss = (factors[ranks.rank] * part.whole(own) ** 3).sum()
        (first,) = torch.autograd.grad(loss, own, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), own)
        return first.detach(), second

    found = on_ranks(3, slope)
    first, second = (torch.cat([one[order] for one in found]) for order in (0, 1))
    torch.testing.assert_close(first, 3 * values**2 * factors.sum(0))
    torch.testing.assert_close(second, 6 * values * factors.sum(0))


def test_sums_are_those_of_the_ranks():
    def add(ranks):
        part, one = part_of(ranks), torch.tensor(float(ranks.rank))
        return [part.total(one), *part.totals([one.view(1, 1), torch.ones(2, 3)])]

    for total, first, second in on_ranks(3, add):
        assert total == 3
        assert torch.equal(first, torch.tensor([[3.0]]))
        assert torch.equal(second, 3 * torch.ones(2, 3))


def test_shares_of_the_parts_add_up_to_the_mean_of_the_batch():
    values = torch.rand(TOTAL, dtype=torch.float64)

    def share(ranks):
        part = part_of(ranks)
        return part.weigh(part.own(values).mean())

    assert torch.allclose(sum(on_ranks(3, share)), values.mean())


def test_chosen_rows_are_a_batch_of_their_own():
    mask = torch.tensor([1, 0, 1, 0, 0, 1, 1]).bool()
    values = torch.arange(TOTAL)

    def choose(ranks):
        part = part_of(ranks)
        chosen = part.own(values)[part.own(mask)]
        return part.among(mask).whole(chosen)

    for found in on_ranks(3, choose):
        assert found.tolist() == [0, 2, 5, 6]
