from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectool.datasets.base import Annotations, Groups
from ectool.datasets.image_arrays import ImageArrays
from ectool.datasets.subset import fraction_of

LABELS = np.repeat([0, 1, 2, 3], [40, 25, 10, 1])
COUNT = len(LABELS)
IMAGES = np.arange(COUNT, dtype=np.uint8)[:, None, None, None].repeat(3, 1)
IDS = tuple(f"images/{number:03d}.png" for number in range(COUNT))
SHARES = st.floats(0.001, 0.999)


@pytest.fixture(scope="module")
def whole():
    return ImageArrays(
        name="numbers/train",
        sample_ids=IDS,
        labels=LABELS,
        classes=("a", "b", "c", "d"),
        size=(1, 1),
        read=lambda indices: IMAGES[indices],
        digest=lambda: "digest of the whole",
        read_annotations=lambda indices, targets: Annotations(
            boxes=[np.array([[i] * 4]) for i in indices]
        ),
    )


def test_all_of_it_is_the_data_set_itself(whole):
    assert fraction_of(whole, 1.0, seed=0) is whole


@given(SHARES, st.integers(0, 5))
def test_a_share_keeps_the_least_hashes_of_every_class(whole, share, seed):
    def rank(name):
        return hashlib.sha256(f"{seed}/{name}".encode()).digest()

    expected = set()
    for label in range(4):
        members = sorted((n for n, c in zip(IDS, LABELS, strict=True) if c == label), key=rank)
        expected |= set(members[: max(1, round(share * len(members)))])
    part = fraction_of(whole, share, seed)
    assert set(part.sample_ids) == expected
    assert list(part.sample_ids) == sorted(part.sample_ids)


@given(SHARES, SHARES)
def test_a_smaller_share_is_part_of_a_greater_one(whole, first, second):
    less, more = sorted([first, second])
    smaller, greater = fraction_of(whole, less, 0), fraction_of(whole, more, 0)
    assert set(smaller.sample_ids) <= set(greater.sample_ids)


def test_every_sample_keeps_its_id_label_image_and_annotations(whole):
    part = fraction_of(whole, 0.3, seed=1)
    rows = np.array([IDS.index(name) for name in part.sample_ids])
    indices = np.array([5, 0, 3])
    np.testing.assert_array_equal(part.labels, LABELS[rows])
    np.testing.assert_array_equal(part.images(indices), IMAGES[rows[indices]])
    boxes = part.annotations(indices).boxes
    assert [int(box[0, 0]) for box in boxes] == rows[indices].tolist()
    assert part.classes == whole.classes
    assert part.size == whole.size
    assert part.name == f"numbers/train ({len(rows)} of {COUNT})"


def test_a_framing_receives_the_index_in_the_part(whole):
    part, asked = fraction_of(whole, 0.3, seed=1), []

    def framing(index, width, height):
        asked.append(index)
        return (0, 0, width, height)

    indices = np.array([7, 0, 3])
    np.testing.assert_array_equal(part.images(indices, framing), part.images(indices))
    assert asked == indices.tolist()


def test_another_seed_draws_others_of_the_same_number(whole):
    first, second = fraction_of(whole, 0.3, seed=0), fraction_of(whole, 0.3, seed=1)
    assert set(first.sample_ids) != set(second.sample_ids)
    assert Counter(first.labels.tolist()) == Counter(second.labels.tolist())


def test_fingerprints_tell_shares_and_seeds_apart(whole):
    parts = [whole, *(fraction_of(whole, share, seed) for share in (0.3, 0.5) for seed in (0, 1))]
    prints = [part.fingerprint for part in parts]
    assert len(set(prints)) == len(prints)
    assert fraction_of(whole, 0.3, 0).fingerprint == prints[1]
    other = replace(whole, digest=lambda: "digest of another whole")
    assert fraction_of(other, 0.3, 0).fingerprint != prints[1]


def test_multi_label_samples_are_drawn_as_one_class(whole):
    labels = np.stack([LABELS == 0, LABELS > 1], axis=1).astype(np.int8)
    part = fraction_of(replace(whole, labels=labels), 0.5, seed=0)
    assert len(part.sample_ids) == COUNT // 2
    assert part.labels.shape == (COUNT // 2, 2)
    assert part.labels.dtype == np.int8


def test_groups_stay_with_their_samples(whole):
    assert fraction_of(whole, 0.5, seed=0).groups is None
    groups = Groups(("a", "b"), np.arange(COUNT) % 2)
    part = fraction_of(replace(whole, groups=groups), 0.5, seed=0)
    expected = [IDS.index(sample_id) % 2 for sample_id in part.sample_ids]
    assert part.groups.of_samples.tolist() == expected
    assert part.groups.names == ("a", "b")
