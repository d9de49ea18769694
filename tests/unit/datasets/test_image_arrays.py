from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ectool.datasets.base import Annotations
from ectool.datasets.image_arrays import ImageArrays

SIDE = 12
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, SIDE, SIDE)).astype(np.uint8)


@pytest.fixture
def arrays():
    return ImageArrays(
        name="noise/test",
        sample_ids=tuple("abcdef"),
        labels=np.arange(6) % 2,
        classes=("even", "odd"),
        size=(SIDE, SIDE),
        read=lambda indices: IMAGES[indices],
        digest=lambda: "digest",
    )


def test_images_are_the_rows(arrays):
    indices = np.array([5, 0, 0])
    np.testing.assert_array_equal(arrays.images(indices), IMAGES[indices])
    assert arrays.images(indices[:0]).shape == (0, 3, SIDE, SIDE)


def test_a_framing_shows_a_part_at_the_size_of_the_whole(arrays):
    asked = []

    def framing(index, width, height):
        asked.append((index, width, height))
        return (index, 1, index + 5, 9)

    shown = arrays.images(np.array([5, 2]), framing)
    assert asked == [(5, SIDE, SIDE), (2, SIDE, SIDE)]
    for row, index in enumerate([5, 2]):
        part = Image.fromarray(IMAGES[index, :, 1:9, index : index + 5].transpose(1, 2, 0).copy())
        expected = np.asarray(part.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(shown[row], expected.transpose(2, 0, 1))


def test_framing_the_whole_changes_nothing(arrays):
    shown = arrays.images(np.arange(6), lambda index, width, height: (0, 0, width, height))
    np.testing.assert_array_equal(shown, IMAGES)


def test_the_fingerprint_is_worked_out_once_and_when_somebody_asks(arrays):
    asked = []

    def digest():
        asked.append(True)
        return "f" * 64

    dataset = replace(arrays, digest=digest)
    assert not asked
    assert dataset.fingerprint == dataset.fingerprint == "f" * 64
    assert len(asked) == 1


def test_annotations_are_read_for_the_same_rows(arrays):
    assert arrays.annotations(np.array([1])) == Annotations()

    def annotations(indices, targets):
        pairs = zip(indices, targets, strict=True)
        return Annotations(boxes=[np.array([[index, target, 9, 9]]) for index, target in pairs])

    found = replace(arrays, read_annotations=annotations).annotations(
        np.array([4, 1]), np.array([0, 1])
    )
    assert [boxes.tolist() for boxes in found.boxes] == [[[4, 0, 9, 9]], [[1, 1, 9, 9]]]
