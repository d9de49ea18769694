from __future__ import annotations

import hashlib

import numpy as np

from ectool.datasets.splits import held_out_tenth


def test_a_tenth_of_every_class_has_the_least_hashes():
    labels = np.random.default_rng(0).choice([-1, 0, 3], 137)
    names = [f"a folder/{number}.png" for number in range(137)]
    held_out = held_out_tenth(labels, names)
    for label in (-1, 0, 3):
        members = [n for n, c in zip(names, labels, strict=True) if c == label]
        least = sorted(members, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        found = {n for n, c, h in zip(names, labels, held_out, strict=True) if c == label and h}
        assert found == set(least[: len(members) // 10])


def test_the_order_of_the_samples_does_not_matter():
    labels, names = np.arange(60) % 3, [str(number) for number in range(60)]
    order = np.random.default_rng(0).permutation(60)
    shuffled = held_out_tenth(labels[order], [names[i] for i in order])
    np.testing.assert_array_equal(shuffled, held_out_tenth(labels, names)[order])


def test_multi_label_samples_are_drawn_as_one_class():
    labels = np.random.default_rng(0).integers(-1, 2, (50, 4)).astype(np.int8)
    assert held_out_tenth(labels, [str(number) for number in range(50)]).sum() == 5


def test_few_samples_stay_where_they_are():
    assert not held_out_tenth(np.zeros(9, np.int64), list("abcdefghi")).any()
    assert held_out_tenth(np.zeros(0, np.int64), []).shape == (0,)
