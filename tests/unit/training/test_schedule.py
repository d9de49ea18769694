from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectool.training.schedule import (
    Schedule,
    batch_count,
    epoch_order,
    shown_perturbed,
    split_evenly,
)

SCHEDULE = Schedule(epochs=10, steps=20, peak=0.4, warmup=0.1)


def test_the_rate_at_the_points_that_define_it():
    assert SCHEDULE.rate(0, 0) == pytest.approx(0.4 / 25)
    assert SCHEDULE.rate(0, 10) == pytest.approx(0.4 * (1 + 1 / 25) / 2)
    assert SCHEDULE.rate(1, 0) == pytest.approx(0.4)
    assert SCHEDULE.rate(5, 10) == pytest.approx(0.2)
    assert 0 < SCHEDULE.rate(9, 19) < 0.4 * 1e-3


def test_every_step_follows_the_definition():
    """Cosine from peak / 25 to the peak over the first tenth, cosine to 0 over the rest."""
    for epoch in range(10):
        for step in range(20):
            done = epoch * 20 + step
            if done < 20:
                expected = 0.016 + (0.4 - 0.016) * (1 - math.cos(math.pi * done / 20)) / 2
            else:
                expected = 0.4 * (1 + math.cos(math.pi * (done - 20) / 180)) / 2
            assert SCHEDULE.rate(epoch, step) == pytest.approx(expected, rel=1e-12)


def test_without_warmup_it_begins_at_the_peak():
    assert Schedule(epochs=1, steps=1, peak=0.1, warmup=0).rate(0, 0) == 0.1


@given(st.integers(1, 50), st.integers(1, 50), st.floats(0, 0.99))
def test_the_rate_is_positive_and_at_most_the_peak(epochs, steps, warmup):
    schedule = Schedule(epochs, steps, 0.4, warmup)
    rates = [schedule.rate(epoch, step) for epoch in range(epochs) for step in range(steps)]
    assert min(rates) > 0
    assert max(rates) <= 0.4


@given(st.integers(1, 300), st.integers(0, 2**40), st.integers(0, 10**4))
def test_orders_are_permutations_that_depend_on_nothing_else(samples, seed, epoch):
    order = epoch_order(samples, seed, epoch)
    assert sorted(order) == list(range(samples))
    np.testing.assert_array_equal(order, epoch_order(samples, seed, epoch))


@given(st.integers(1, 300), st.integers(1, 300))
def test_batches_differ_by_at_most_one_sample(samples, batch_size):
    order = np.random.default_rng(0).permutation(samples)
    batches = split_evenly(order, batch_size)
    sizes = [len(batch) for batch in batches]
    np.testing.assert_array_equal(np.concatenate(batches), order)
    assert len(sizes) == batch_count(samples, batch_size)
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) > 1 or batch_size == 1 or samples == 1
    exceeds = batch_size == 2 and samples % 2 and samples > 1
    assert max(sizes) <= batch_size + bool(exceeds)
    if not exceeds:  # no step more than are needed
        assert len(sizes) == math.ceil(samples / batch_size)


def test_orders_of_other_seeds_and_epochs_differ():
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_what_is_drawn_is_the_same_on_every_machine():
    assert epoch_order(10, 0, 0).tolist() == [8, 5, 0, 2, 4, 7, 1, 6, 3, 9]
    assert np.flatnonzero(shown_perturbed(10, 0, 0, 0.5)).tolist() == [0, 6, 9]


@given(st.integers(1, 100), st.integers(0, 100), st.floats(0, 1))
def test_a_greater_share_shows_the_same_samples_and_more(samples, epoch, share):
    chosen = shown_perturbed(samples, 0, epoch, share)
    assert (chosen <= shown_perturbed(samples, 0, epoch, 1.0)).all()
    assert not (chosen & ~shown_perturbed(samples, 0, epoch, min(1, share * 1.1))).any()
    assert not shown_perturbed(samples, 0, epoch, 0).any()


def test_the_share_is_met_on_average():
    shares = [shown_perturbed(500, 1, epoch, 0.3).mean() for epoch in range(40)]
    assert np.mean(shares) == pytest.approx(0.3, abs=0.01)


def test_a_schedule_that_starts_again_is_two_schedules():
    whole = Schedule(epochs=10, steps=4, peak=0.4, warmup=0.1, restart=3)
    parts = [Schedule(3, 4, 0.4, 0.1)] * 3 + [Schedule(7, 4, 0.4, 0.1)] * 7
    for epoch, part in enumerate(parts):
        for step in range(4):
            expected = part.rate(epoch if epoch < 3 else epoch - 3, step)
            assert whole.rate(epoch, step) == expected


def test_the_last_epoch_may_have_a_constant_rate():
    whole, cycle = Schedule(5, 4, 0.4, 0.1, tail=0.02), Schedule(4, 4, 0.4, 0.1)
    for step in range(4):
        assert whole.rate(4, step) == pytest.approx(0.008)
        assert all(whole.rate(epoch, step) == cycle.rate(epoch, step) for epoch in range(4))
