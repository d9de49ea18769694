from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ectool.reports.selection import LEAST, MAX_CLASSES, MOST, RANDOM, Choice, choose


def test_extremes_of_each_class_and_one_in_between():
    label = np.array([1, 0, 1, 0, 1, 0, 0])
    consistency = np.array([0.5, 0.1, 0.9, np.nan, 0.2, 0.3, 0.2], np.float32)
    assert choose(label, consistency, seed=0) == [
        Choice(1, LEAST),
        Choice(5, MOST),
        Choice(6, RANDOM),
        Choice(4, LEAST),
        Choice(2, MOST),
        Choice(0, RANDOM),
    ]


def test_small_classes_show_what_they_have():
    label, consistency = np.array([0, 1, 1, 2]), np.array([0.1, 0.2, 0.3, np.nan])
    assert choose(label, consistency, seed=0) == [
        Choice(0, LEAST),
        Choice(1, LEAST),
        Choice(2, MOST),
    ]


def test_nothing_defined():
    assert choose(np.array([0, 1]), np.full(2, np.nan), seed=0) == []


def test_many_classes_are_thinned_out_evenly():
    label = np.repeat(np.arange(91), 3)
    choices = choose(label, np.linspace(0, 1, len(label)), seed=0)
    shown = sorted({int(label[choice.row]) for choice in choices})
    assert shown == list(range(0, 91, 10))
    assert len(shown) == MAX_CLASSES


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_random_choice_depends_on_the_seed_alone(scores, seed):
    consistency = np.random.default_rng(scores).random(40)
    label = np.arange(40) % 4
    first = choose(label, consistency, seed=seed)
    assert first == choose(label, consistency, seed=seed)
    rows = [choice.row for choice in first]
    assert len(set(rows)) == len(rows) == 12


def test_other_seeds_choose_others():
    consistency = np.linspace(0, 1, 100)
    label = np.zeros(100, int)
    picks = {choose(label, consistency, seed=seed)[2].row for seed in range(10)}
    assert len(picks) > 5
