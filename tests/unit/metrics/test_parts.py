from __future__ import annotations

import math

import numpy as np
import pytest

from ectool.errors import InputError
from ectool.metrics.localization import peak_positions
from ectool.metrics.parts import (
    location_instability,
    location_instability_interval,
    part_distances,
)

SIZE = (30, 40)


def random_case(seed, n=24, parts=3, classes=4):
    generator = np.random.default_rng(seed)
    heatmaps = generator.random((n, 4, 5)).astype(np.float32)
    found = generator.random((n, parts, 3)) * [40, 30, 1]
    found[..., 2] = found[..., 2] < 0.7
    return heatmaps, found, generator.integers(0, classes, n)


def test_distances_redone_part_by_part():
    heatmaps, parts, _ = random_case(0)
    heatmaps[3] = 0
    distances = part_distances(heatmaps, parts, SIZE)
    peaks = peak_positions(heatmaps, SIZE)
    for row, peak in enumerate(peaks):
        for column, (x, y, visible) in enumerate(parts[row]):
            if not visible or row == 3:
                assert np.isnan(distances[row, column])
            else:
                expected = math.dist(peak, (x, y)) / 50
                assert distances[row, column] == pytest.approx(expected)


def slow_instability(distances, labels):
    deviations = []
    for label in set(labels.tolist()):
        for column in distances[labels == label].T:
            known = column[~np.isnan(column)]
            if len(known) > 1:
                deviations.append(known.std())
    return np.mean(deviations) if deviations else math.nan


@pytest.mark.parametrize("seed", range(3))
def test_instability_redone_class_by_class(seed):
    heatmaps, parts, labels = random_case(seed)
    distances = part_distances(heatmaps, parts, SIZE)
    expected = slow_instability(distances, labels)
    assert location_instability(distances, labels) == pytest.approx(expected)


def test_the_interval_is_over_resampled_images():
    heatmaps, parts, labels = random_case(3)
    distances = part_distances(heatmaps, parts, SIZE)
    estimate = location_instability_interval(distances, labels, resamples=40, seed=5)
    rows = np.random.default_rng(5).integers(24, size=(40, 24))
    slow = [slow_instability(distances[chosen], labels[chosen]) for chosen in rows]
    assert estimate.value == pytest.approx(slow_instability(distances, labels))
    assert [estimate.low, estimate.high] == pytest.approx(np.quantile(slow, [0.025, 0.975]))
    assert (estimate.n, estimate.kind) == (24, "spread")


def test_a_map_that_follows_the_part_is_stable():
    heatmaps = np.zeros((6, *SIZE), np.float32)
    parts = np.ones((6, 1, 3))
    for row in range(6):
        heatmaps[row, 4 * row, 5 * row] = 1
        parts[row, 0, :2] = 5 * row + 3, 4 * row + 4
    distances = part_distances(heatmaps, parts, SIZE)
    np.testing.assert_allclose(distances, 0.1)
    assert location_instability(distances, np.zeros(6, int)) == pytest.approx(0, abs=1e-12)


def test_one_image_of_a_class_has_no_deviation():
    distances = np.array([[0.1], [0.3], [0.9]])
    assert location_instability(distances, np.array([7, 7, 2])) == pytest.approx(0.1)
    assert math.isnan(location_instability(distances, np.array([1, 7, 2])))


def test_maps_and_parts_must_be_paired():
    heatmaps, parts, _ = random_case(4)
    with pytest.raises(InputError, match="parts: expected 24, one per heatmap, got 23"):
        part_distances(heatmaps, parts[1:], SIZE)
