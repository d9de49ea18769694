"""Location instability of filters, against loops over its definition."""

from __future__ import annotations

import numpy as np
import pytest

from ectool.metrics.filters.instability import (
    box_landmarks,
    filter_classes,
    filter_distances,
    filter_instability,
    filter_peaks,
    mask_landmarks,
)

SIZE = (12, 16)


@pytest.fixture
def maps():
    """Maps of 9 images and 4 filters; some are zero."""
    draw = np.random.default_rng(0)
    found = np.maximum(draw.normal(size=(9, 4, 3, 4)), 0).astype(np.float32)
    found[2, 1] = 0
    return found


@pytest.fixture
def labels():
    return np.array([0, 1, 3, 0, 1, 3, 0, 1, 3])


@pytest.fixture
def landmarks():
    draw = np.random.default_rng(1)
    points = draw.uniform(0, 12, size=(9, 5, 3))
    points[:, :, 2] = draw.uniform(size=(9, 5)) > 0.2
    return points


def slow_instability(maps, labels, landmarks):
    """Redo the definition, filter by filter, landmark by landmark, image by image."""
    images, filters, height, width = maps.shape
    deviations = []
    for f in range(filters):
        sums = {c: [maps[n, f].sum() for n in range(images) if labels[n] == c] for c in labels}
        own = max(sorted(sums), key=lambda c: np.mean(sums[c]))
        for p in range(landmarks.shape[1]):
            distances = []
            for n in range(images):
                if labels[n] != own or not maps[n, f].any() or not landmarks[n, p, 2]:
                    continue
                row, column = np.unravel_index(maps[n, f].argmax(), (height, width))
                x = (column + 0.5) * SIZE[1] / width - 0.5
                y = (row + 0.5) * SIZE[0] / height - 0.5
                away = np.hypot(x - landmarks[n, p, 0], y - landmarks[n, p, 1])
                distances.append(away / np.hypot(*SIZE))
            if len(distances) > 1:
                deviations.append(np.std(distances))
    return np.mean(deviations)


def instability(maps, labels, landmarks, **given):
    own = labels[:, None] == filter_classes(maps, labels)
    distances = filter_distances(filter_peaks(maps, SIZE), landmarks, own, SIZE)
    return filter_instability(distances, **given)


def test_instability_is_its_definition(maps, labels, landmarks):
    found = instability(maps, labels, landmarks, resamples=50)
    assert found.value == pytest.approx(slow_instability(maps, labels, landmarks))
    assert found.kind == "spread"
    assert found.low <= found.high


def test_resampled_images_are_those_of_the_definition(maps, labels, landmarks):
    own = labels[:, None] == filter_classes(maps, labels)
    distances = filter_distances(filter_peaks(maps, SIZE), landmarks, own, SIZE)
    draw = np.random.default_rng(3)
    rows = draw.integers(9, size=(20, 9))
    values = []
    for row in rows:
        columns = distances[row].reshape(9, -1).T
        kept = [c[~np.isnan(c)] for c in columns]
        values.append(np.mean([c.std() for c in kept if len(c) > 1]))
    found = filter_instability(distances, resamples=20, seed=3)
    low, high = np.quantile(values, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high))


def test_filters_that_follow_their_part_are_stable(labels):
    maps, parts = np.zeros((9, 1, 12, 16)), np.zeros((9, 1, 3))
    for n in range(9):
        maps[n, 0, n, n + 3] = 1
        parts[n, 0] = n + 3, n, 1
    assert instability(maps, labels, parts).value == pytest.approx(0)
    parts[:, 0, 0] = 5
    assert instability(maps, labels, parts).value > 0.02


def test_the_scale_of_a_map_and_of_the_image_does_not_matter(maps, labels, landmarks):
    whole = instability(maps, labels, landmarks).value
    scaled = maps * np.arange(1, 5)[:, None, None]
    assert instability(scaled, labels, landmarks).value == pytest.approx(whole)


def test_the_peak_is_the_centre_of_its_cell():
    maps = np.zeros((1, 2, 3, 4))
    maps[0, 0, 1, 3] = 1
    peaks = filter_peaks(maps, SIZE)
    assert peaks[0, 0].tolist() == [13.5, 5.5]
    assert np.isnan(peaks[0, 1]).all()


def test_landmarks_are_the_centre_and_the_corners_of_the_box():
    masks = np.zeros((2, *SIZE), np.bool_)
    masks[0, 2:5, 4:10] = True
    masks[0, 2, 4] = False
    boxes = [np.array([[4, 2, 6, 4], [7, 3, 10, 5]]), np.zeros((0, 4), np.int64)]
    expected = [[6.5, 3, 1], [4, 2, 1], [9, 2, 1], [4, 4, 1], [9, 4, 1]]
    for found in (mask_landmarks(masks), box_landmarks(boxes)):
        assert found[0].tolist() == expected
        assert not found[1].any()


def test_without_two_images_of_a_class_there_is_no_value(maps, landmarks):
    found = instability(maps[:2], np.array([0, 1]), landmarks[:2])
    assert np.isnan(found.value)
