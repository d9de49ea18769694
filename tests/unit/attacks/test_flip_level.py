"""The search for a radius, against a scan of all levels."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ectool.attacks.flip_level import flip_level, predicts_label

LARGEST = 40
shares = st.lists(st.integers(0, 10), min_size=LARGEST, max_size=LARGEST)


def search(values, goal=0.5, first=8):
    """Search among the shares of levels 1, 2, …; return the result and the levels measured."""
    asked = []

    def share(level):
        asked.append(level)
        return values[level - 1]

    return flip_level(share, goal=goal, first=first, largest=len(values)), asked


@given(shares, st.integers(1, LARGEST), st.integers(1, 10))
def test_the_result_is_the_first_level_of_a_scan(counts, first, goal):
    values = [count / 10 for count in sorted(counts)]
    found, asked = search(values, goal / 10, first)
    reached = [level for level in range(1, LARGEST + 1) if values[level - 1] >= goal / 10]
    expected = reached[0] if reached else LARGEST
    assert (found.level, found.share) == (expected, values[expected - 1])
    assert found.evaluations == len(asked) == len(set(asked))


@given(shares, st.integers(1, LARGEST))
def test_a_share_that_falls_gives_a_level_right_after_one_that_is_too_small(counts, first):
    values = [count / 10 for count in counts]
    found, _ = search(values, first=first)
    assert found.share == values[found.level - 1]
    if found.share >= 0.5:
        assert found.level == 1 or values[found.level - 2] < 0.5
    else:
        assert found.level == LARGEST


@pytest.mark.parametrize("level", [1, 3, 8, 9, 20, 31, 200, 255])
def test_cost(level):
    _, asked = search([float(number >= level) for number in range(1, 256)])
    assert len(asked) <= max(1 + math.log2(8), 1 + 2 * math.log2(level))


def test_ends():
    nothing, _ = search([0.1] * 255)
    assert (nothing.level, nothing.share) == (255, 0.1)
    everything, _ = search([0.9] * 255)
    assert (everything.level, everything.share) == (1, 0.9)


def test_a_label_is_predicted_where_its_logit_is_the_largest():
    logits = torch.tensor([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0], [-3.0, -2.0, -1.0]])
    found = predicts_label(logits, torch.tensor([0, 1, 2]))
    assert found.int().tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_multilabel_counts_every_present_label():
    logits = torch.tensor([[2.0, -1.0, 1.0], [1.0, 1.0, 1.0]])
    labels = torch.tensor([[1, 1, 0], [1, -1, 1]], dtype=torch.int8)
    assert predicts_label(logits, labels).int().tolist() == [[1, 0, 0], [1, 0, 1]]
