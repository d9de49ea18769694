from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from ectool.errors import InputError
from ectool.metrics import heatmaps as maps
from ectool.metrics.heatmaps import is_zero_map, upsample_bilinear
from ectool.metrics.localization import (
    box_masks,
    energy_inside,
    filled_boxes,
    is_difficult,
    mask_iou,
    peak_positions,
    pointing_game,
    relevance_rank,
)

SCORES = [pointing_game, energy_inside, relevance_rank, mask_iou]


def torch_upsample(heatmaps, size):
    maps = torch.from_numpy(heatmaps.astype(np.float64))[:, None]
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)[:, 0].numpy()


def random_case(seed, n=6, source=(4, 5), size=(20, 30)):
    generator = np.random.default_rng(seed)
    heatmaps = np.maximum(generator.normal(size=(n, *source)), 0).astype(np.float32)
    masks = np.zeros((n, *size), np.bool_)
    for mask in masks:
        y, x = generator.integers(0, size[0] - 5), generator.integers(0, size[1] - 5)
        mask[y : y + 5, x : x + generator.integers(2, 6)] = True
    return heatmaps, masks


@given(
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([np.float16, np.float32, np.float64]),
)
@settings(max_examples=60)
def test_upsampling_is_torchs(source, size, dtype):
    heatmaps = np.random.default_rng(0).random((2, *source)).astype(dtype)
    upsampled = upsample_bilinear(heatmaps, size)
    assert upsampled.dtype == (np.float64 if dtype is np.float64 else np.float32)
    np.testing.assert_allclose(upsampled, torch_upsample(heatmaps, size), atol=1e-5)


def test_upsampling_keeps_a_constant_map_and_the_same_size():
    heatmaps = np.full((1, 3, 4), 2.5, np.float32)
    np.testing.assert_allclose(upsample_bilinear(heatmaps, (9, 11)), 2.5, rtol=1e-6)
    same = np.random.default_rng(0).random((2, 3, 4))
    np.testing.assert_array_equal(upsample_bilinear(same, (3, 4)), same)


def slow_pointing_game(heatmap, mask, tolerance):
    height, width = mask.shape
    best, point = -1.0, (0, 0)
    for y in range(height):
        for x in range(width):
            if heatmap[y, x] > best:
                best, point = heatmap[y, x], (y, x)
    if best == 0:
        return 0.0
    radius = tolerance / 224 * min(height, width)
    return float(
        any(
            mask[y, x] and math.dist((y, x), point) <= radius
            for y in range(height)
            for x in range(width)
        )
    )


@pytest.mark.parametrize("tolerance", [0.0, 15.0, 40.0])
def test_pointing_game_redone_pixel_by_pixel(tolerance):
    heatmaps, masks = random_case(0, n=12)
    upsampled = upsample_bilinear(heatmaps, masks.shape[1:])
    expected = [slow_pointing_game(h, m, tolerance) for h, m in zip(upsampled, masks, strict=True)]
    assert 0 < sum(expected) < 12
    np.testing.assert_array_equal(pointing_game(heatmaps, masks, tolerance=tolerance), expected)


def test_energy_inside_redone_pixel_by_pixel():
    heatmaps, masks = random_case(1)
    for heatmap, mask, share in zip(
        torch_upsample(heatmaps, (20, 30)), masks, energy_inside(heatmaps, masks), strict=True
    ):
        inside = sum(heatmap[y, x] for y in range(20) for x in range(30) if mask[y, x])
        assert share == pytest.approx(inside / heatmap.sum(), rel=1e-5)


def slow_relevance_rank(heatmap, mask):
    """Average over every order of equal pixels, by drawing many."""
    generator, k, shares = np.random.default_rng(0), int(mask.sum()), []
    for _ in range(400):
        shuffled = generator.permutation(heatmap.size)
        descending = shuffled[np.argsort(-heatmap.ravel()[shuffled], kind="stable")]
        shares.append(mask.ravel()[descending[:k]].mean())
    return np.mean(shares)


def test_relevance_rank_redone_by_ranking_pixels():
    heatmaps, masks = random_case(7, n=12, source=(20, 30))
    ranked = np.maximum(heatmaps, 1e-9) + np.arange(600).reshape(20, 30) * 1e-6
    for heatmap, mask, share in zip(ranked, masks, relevance_rank(ranked, masks), strict=True):
        top = np.argsort(-heatmap.ravel())[: mask.sum()]
        assert share == pytest.approx(mask.ravel()[top].mean())


def test_relevance_rank_is_the_mean_over_orders_of_equal_pixels():
    heatmaps = np.random.default_rng(0).integers(0, 3, (4, 6, 7)).astype(np.float32)
    masks = np.random.default_rng(1).random((4, 6, 7)) < 0.4
    expected = [slow_relevance_rank(*pair) for pair in zip(heatmaps, masks, strict=True)]
    np.testing.assert_allclose(relevance_rank(heatmaps, masks), expected, atol=0.02)


def test_peaks_are_the_first_maxima_of_the_upsampled_maps():
    heatmaps, _ = random_case(8, n=5)
    heatmaps[2] = 0
    positions = peak_positions(heatmaps, (20, 30))
    for row, upsampled in enumerate(torch_upsample(heatmaps, (20, 30)).astype(np.float32)):
        if row == 2:
            assert np.isnan(positions[row]).all()
            continue
        x, y = positions[row].astype(int)
        assert upsampled[y, x] == pytest.approx(upsampled.max(), rel=1e-5)


def test_small_objects_in_images_with_other_classes_are_difficult():
    masks = np.zeros((4, 8, 8), np.bool_)
    masks[0, :2, :7] = masks[1, :2] = masks[2, :2, :7] = True  # 14, 16 and 14 of 64 pixels
    others = np.array([True, True, False, True])
    assert is_difficult(masks, others).tolist() == [True, False, False, False]


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_mask_iou_is_the_jaccard_index_of_the_thresholded_map(threshold):
    heatmaps, masks = random_case(2)
    upsampled = upsample_bilinear(heatmaps, (20, 30))
    for heatmap, mask, iou in zip(
        upsampled, masks, mask_iou(heatmaps, masks, threshold=threshold), strict=True
    ):
        region = heatmap >= threshold * heatmap.max()
        assert iou == pytest.approx(jaccard_score(mask.ravel(), region.ravel()))


@pytest.mark.parametrize(
    ("distance", "hit"), [(0, 1.0), (15, 1.0), (16, 0.0)], ids=["on", "at 15", "at 16"]
)
def test_tolerance_is_fifteen_pixels_of_an_image_of_224(distance, hit):
    heatmaps = np.zeros((1, 224, 224), np.float32)
    heatmaps[0, 100, 100] = 1
    masks = np.zeros((1, 224, 224), np.bool_)
    masks[0, 50:151, 100 + distance :] = True
    assert pointing_game(heatmaps, masks).tolist() == [hit]


def test_tolerance_scales_with_the_image():
    heatmaps = np.zeros((1, 32, 32), np.float32)
    heatmaps[0, 10, 10] = 1
    masks = np.zeros((2, 1, 32, 32), np.bool_)
    masks[0, 0, :, 12] = masks[1, 0, :, 13] = True  # 15 / 224 * 32 is 2.14 pixels
    assert pointing_game(heatmaps, masks[0]).tolist() == [1]
    assert pointing_game(heatmaps, masks[1]).tolist() == [0]


def test_the_first_of_two_equal_maxima_in_row_major_order_counts():
    heatmaps = np.zeros((2, 8, 8), np.float32)
    heatmaps[:, 1, 6] = heatmaps[:, 6, 1] = 1
    masks = np.zeros((2, 8, 8), np.bool_)
    masks[0, 1, 6] = masks[1, 6, 1] = True
    assert pointing_game(heatmaps, masks).tolist() == [1, 0]


def test_a_map_on_the_object_scores_one_and_one_outside_it_zero():
    masks = np.zeros((2, 8, 8), np.bool_)
    masks[:, 1:4, 2:5] = True
    heatmaps = np.stack([masks[0], np.roll(masks[0], 4, axis=0)]).astype(np.float32)
    for score in SCORES:
        assert score(heatmaps, masks).tolist() == [1, 0]


def test_a_zero_map_is_a_miss_without_overlap_or_energy():
    heatmaps = np.zeros((2, 3, 3), np.float16)
    heatmaps[1, 1, 1] = 1
    masks = np.ones((2, 9, 9), np.bool_)
    assert is_zero_map(heatmaps).tolist() == [True, False]
    assert pointing_game(heatmaps, masks).tolist() == [0, 1]
    assert mask_iou(heatmaps, masks)[0] == 0
    assert np.isnan(energy_inside(heatmaps, masks)).tolist() == [True, False]
    assert np.isnan(relevance_rank(heatmaps, masks)).tolist() == [True, False]


@pytest.mark.parametrize("score", SCORES)
def test_without_an_object_there_is_no_score(score):
    heatmaps, masks = random_case(3, n=2)
    masks[1] = False
    assert np.isnan(score(heatmaps, masks)).tolist() == [False, True]


@pytest.mark.parametrize("score", SCORES)
@given(factor=st.sampled_from([0.125, 2.0, 64.0]), seed=st.integers(0, 99))
@settings(max_examples=15)
def test_scores_do_not_depend_on_scale_order_or_parts(score, factor, seed):
    heatmaps, masks = random_case(seed, n=7)
    expected = score(heatmaps, masks)
    order = np.random.default_rng(seed).permutation(7)
    np.testing.assert_allclose(score(factor * heatmaps, masks), expected)
    np.testing.assert_array_equal(score(heatmaps[order], masks[order]), expected[order])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maps, "_PIXELS_AT_ONCE", 2 * 20 * 30)
        np.testing.assert_array_equal(score(heatmaps, masks), expected)


@pytest.mark.parametrize("score", SCORES)
def test_scores_lie_between_zero_and_one(score):
    scores = score(*random_case(4, n=50))
    assert scores.dtype == np.float64
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("score", SCORES)
def test_no_samples_give_no_scores(score):
    assert score(np.empty((0, 2, 2), np.float32), np.empty((0, 8, 8), np.bool_)).shape == (0,)


def test_box_masks_redone_pixel_by_pixel():
    boxes = np.array([[1, 2, 4, 3], [0, 0, 6, 5], [-2, 3, 99, 99], [0, 0, 0, 0]])
    masks = box_masks(boxes, (5, 6))
    for (x0, y0, x1, y1), mask in zip(boxes, masks, strict=True):
        for y in range(5):
            for x in range(6):
                assert mask[y, x] == (x0 <= x < x1 and y0 <= y < y1)


def test_filled_boxes_are_those_of_each_image():
    boxes = [np.array([[0, 0, 2, 1], [1, 0, 3, 2]]), np.zeros((0, 4), np.int64)]
    first, second = filled_boxes(boxes, (3, 4))
    assert first.astype(int).tolist() == [[1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert not second.any()
    assert filled_boxes([], (3, 4)).shape == (0, 3, 4)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_a_map_that_is_not_raw_and_rectified_is_an_error(score, value):
    heatmaps, masks = random_case(5, n=3)
    heatmaps[1, 0, 0] = value
    with pytest.raises(InputError, match="heatmap 1: expected finite values of at least 0"):
        score(heatmaps, masks)


@pytest.mark.parametrize("score", SCORES)
def test_maps_and_masks_must_be_paired(score):
    heatmaps, masks = random_case(6, n=3)
    with pytest.raises(InputError, match="expected 3, one per heatmap, got 2"):
        score(heatmaps, masks[:2])
