from __future__ import annotations

import numpy as np
import pytest

from ectool.errors import InputError
from ectool.metrics.boxes import (
    LEVELS,
    MAX_BOX_ACC_LEVEL,
    THRESHOLDS,
    best_threshold,
    box_overlaps,
    max_box_acc,
)
from ectool.metrics.heatmaps import upsample_bilinear

SIZE = (18, 25)


def random_case(seed, n=5):
    generator = np.random.default_rng(seed)
    heatmaps = np.maximum(generator.normal(size=(n, 5, 6)), 0).astype(np.float32)
    boxes = []
    for count in generator.integers(1, 4, n):
        corner = generator.integers(0, 10, (count, 2))
        boxes.append(np.concatenate([corner, corner + generator.integers(2, 9, (count, 2))], 1))
    return heatmaps, boxes


def flood(region):
    """Collect the components of a region pixel by pixel."""
    left, components = set(zip(*np.nonzero(region), strict=True)), []
    while left:
        frontier, component = [left.pop()], []
        while frontier:
            y, x = frontier.pop()
            component.append((y, x))
            for neighbour in [(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]:
                if neighbour in left:
                    left.remove(neighbour)
                    frontier.append(neighbour)
        components.append(component)
    return components


def iou(component, box):
    rows, columns = zip(*component, strict=True)
    found, true = np.zeros((2, 40, 40), np.bool_)
    found[min(rows) : max(rows) + 1, min(columns) : max(columns) + 1] = True
    true[box[1] : box[3], box[0] : box[2]] = True
    return (found & true).sum() / (found | true).sum()


def test_overlaps_redone_by_flooding():
    heatmaps, boxes = random_case(0)
    thresholds = (0.0, 0.2, 0.5, 0.95)
    overlaps = box_overlaps(heatmaps, boxes, SIZE, thresholds)
    several = 0
    for row, heatmap in enumerate(upsample_bilinear(heatmaps, SIZE)):
        scaled = (heatmap - heatmap.min()) / (heatmap.max() - heatmap.min())
        for column, threshold in enumerate(thresholds):
            components = sorted(flood(scaled >= threshold), key=len, reverse=True)
            several += len(components) > 1
            fits = [max(iou(component, box) for box in boxes[row]) for component in components]
            assert overlaps.best[row, column] == pytest.approx(max(fits))
            sizes = [len(component) for component in components]
            if sizes.count(sizes[0]) == 1:
                assert overlaps.largest[row, column] == pytest.approx(fits[0])
    assert several > 3


def test_a_map_on_the_box_fits_at_every_threshold_above_its_background():
    heatmap = np.zeros((1, *SIZE), np.float32)
    heatmap[0, 3:9, 5:20] = 1
    heatmap[0, 12:14, 2:4] = 0.5
    overlaps = box_overlaps(heatmap, [np.array([[5, 3, 20, 9]])], SIZE)
    assert overlaps.largest[0, 1:].tolist() == [1] * 99
    both = box_overlaps(heatmap, [np.array([[2, 12, 4, 14]])], SIZE, (0.2, 0.6))
    assert both.best.tolist() == [[1, 0]]
    assert both.largest.tolist() == [[0, 0]]


def test_components_may_touch_at_corners():
    heatmap = np.eye(6, dtype=np.float32)[None]
    overlaps = box_overlaps(heatmap, [np.array([[0, 0, 6, 6]])], (6, 6), (0.5,))
    assert overlaps.largest.tolist() == [[1]]


def test_constant_maps_overlap_with_nothing_and_without_a_box_overlaps_are_undefined():
    heatmaps = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.eye(3)]).astype(np.float32)
    whole = np.array([[0, 0, 9, 9]])
    overlaps = box_overlaps(heatmaps, [whole, whole, whole[:0]], (9, 9), (0.0, 0.5))
    assert overlaps.best[:2].tolist() == [[0, 0], [0, 0]]
    assert np.isnan(overlaps.best[2]).all()
    assert np.isnan(max_box_acc(overlaps.best, overlaps.best[:2])).tolist() == [False, False, True]


def test_the_threshold_comes_from_the_validation_images():
    validation = np.array([[0.6, 0.4], [0.6, 0.8], [np.nan, np.nan]])
    overlaps = np.array([[0.1, 0.9], [0.55, 0.9], [0.9, 0.1]])
    assert best_threshold(validation, 0.5) == 0
    assert best_threshold(validation, 0.7) == 1
    assert max_box_acc(overlaps, validation, MAX_BOX_ACC_LEVEL).tolist() == [0, 1, 1]
    # At 0.3 both thresholds are equally good on validation, and the lower one is taken.
    expected = [(0 + 0 + 1) / 3, (1 + 1 + 1) / 3, (1 + 1 + 0) / 3]
    np.testing.assert_allclose(max_box_acc(overlaps, validation), expected)


def test_with_the_same_images_it_is_the_value_of_the_authors():
    heatmaps, boxes = random_case(1, n=8)
    overlaps = box_overlaps(heatmaps, boxes, SIZE)
    assert overlaps.best.shape == (8, len(THRESHOLDS))
    assert (overlaps.best >= overlaps.largest).all()
    theirs = np.mean([(overlaps.best >= level).mean(axis=0).max() for level in LEVELS])
    assert max_box_acc(overlaps.best, overlaps.best).mean() == pytest.approx(theirs)


def test_maps_and_boxes_must_be_paired():
    heatmaps, boxes = random_case(2)
    with pytest.raises(InputError, match="boxes: expected 5, one per heatmap, got 4"):
        box_overlaps(heatmaps, boxes[:4], SIZE)
    with pytest.raises(InputError, match="heatmap 0: expected finite values of at least 0"):
        box_overlaps(heatmaps - 9, boxes, SIZE)
