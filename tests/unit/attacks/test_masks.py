from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.filters import threshold_otsu

from ectool.attacks.ball import LinfBall
from ectool.attacks.masks import (
    BACKGROUND_RULES,
    dilate,
    fraction,
    full,
    intersect,
    inverse,
    otsu,
    outside_object,
    quantile,
    smooth,
    soften,
    split,
    threshold,
)
from ectool.config import PerturbConfig


def maps(n: int = 5, size: int = 9, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, size, size, generator=generator).clamp(min=0)


def two_hills(n: int = 4, size: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    low = torch.rand(n, size, size, generator=generator)
    high = 3 + torch.rand(n, size, size, generator=generator)
    return torch.where(torch.rand(n, size, size, generator=generator) < 0.3, high, low)


@settings(max_examples=60)
@given(
    percent=st.integers(0, 100),
    values=st.lists(st.integers(0, 6), min_size=1, max_size=40),
)
def test_quantile_equals_its_definition(percent, values):
    ordered = sorted(values)
    rank = max(1, math.ceil(Fraction(percent, 100) * len(values)))
    expected = [value <= ordered[rank - 1] for value in values]
    heatmap = torch.tensor(values, dtype=torch.float32).view(1, 1, -1)
    assert quantile(heatmap, percent / 100).flatten().tolist() == expected


def test_quantile_equals_numpy_inverted_cdf():
    heatmaps = maps()
    for q in (0.25, 0.5, 0.7, 0.9):
        threshold = np.quantile(heatmaps.flatten(1), q, axis=1, method="inverted_cdf")
        expected = heatmaps.numpy() <= threshold[:, None, None]
        np.testing.assert_array_equal(quantile(heatmaps, q), expected)


def test_half_of_the_pixels_are_background_by_default():
    assert quantile(two_hills()).flatten(1).sum(1).tolist() == [288] * 4


def test_fraction_equals_its_definition():
    heatmaps = maps()
    for heatmap, background in zip(heatmaps, fraction(heatmaps, 0.3), strict=True):
        expected = heatmap <= 0.3 * heatmap.max()
        assert torch.equal(background, expected)


def slow_otsu(heatmap: np.ndarray) -> np.ndarray:
    """Try every split of the 256 bins."""
    least, greatest = heatmap.min(), heatmap.max()
    bins = np.minimum(((heatmap - least) / (greatest - least) * 256).astype(int), 255)
    best, split = -1.0, 0
    for candidate in range(255):
        below, above = bins[bins <= candidate], bins[bins > candidate]
        if below.size and above.size:
            variance = below.size * above.size * (below.mean() - above.mean()) ** 2
            if variance > best * (1 + 1e-12):
                best, split = variance, candidate
    return bins <= split


@pytest.mark.parametrize("heatmaps", [maps(size=20), two_hills()], ids=["noise", "hills"])
def test_otsu_equals_every_split_tried(heatmaps):
    for heatmap, background in zip(heatmaps.numpy(), otsu(heatmaps), strict=True):
        np.testing.assert_array_equal(background, slow_otsu(heatmap))


def test_otsu_agrees_with_scikit_image_on_two_hills():
    heatmaps = two_hills()
    for heatmap, background in zip(heatmaps.numpy(), otsu(heatmaps).numpy(), strict=True):
        # Their threshold is the centre of the last lower bin, ours its upper edge.
        half_bin = (heatmap.max() - heatmap.min()) / 512
        certain = np.abs(heatmap - threshold_otsu(heatmap)) > 1.01 * half_bin
        assert certain.mean() > 0.95
        np.testing.assert_array_equal(
            background[certain], (heatmap <= threshold_otsu(heatmap))[certain]
        )


def test_otsu_separates_two_values():
    heatmap = torch.tensor([[[0.0, 0.0, 5.0], [0.0, 5.0, 5.0], [0.0, 0.0, 0.0]]])
    assert torch.equal(otsu(heatmap), heatmap == 0)


@pytest.mark.parametrize("name", ["quantile", "fraction", "otsu"])
def test_all_zero_map_is_background_throughout(name):
    assert BACKGROUND_RULES[name].compute(torch.zeros(2, 4, 4), 0.5).all()


@pytest.mark.parametrize(("name", "expected"), [("quantile", 1), ("otsu", 1), ("fraction", 0)])
def test_constant_map(name, expected):
    background = BACKGROUND_RULES[name].compute(torch.full((2, 4, 4), 3.0), 0.5)
    assert background.unique().tolist() == [expected]


def test_quantile_at_the_ends():
    heatmaps = two_hills()
    least = heatmaps.amin(dim=(1, 2), keepdim=True)
    assert torch.equal(quantile(heatmaps, 0.0), heatmaps == least)
    assert quantile(heatmaps, 1.0).all()


def test_rank_is_not_rounded_up_by_floating_point():
    assert 0.55 * 100 > 55
    assert quantile(torch.arange(100.0).view(1, 10, 10), 0.55).sum() == 55


def test_inverse_and_object_are_complements():
    heatmaps = maps()
    assert torch.equal(inverse(heatmaps, 0.3), ~quantile(heatmaps, 0.3))
    objects = heatmaps > 1
    assert torch.equal(outside_object(objects), heatmaps <= 1)


def test_full_takes_any_dtype():
    assert full(torch.zeros(2, 3, 4, dtype=torch.uint8)).tolist() == np.ones((2, 3, 4)).tolist()


@pytest.mark.parametrize("name", sorted(BACKGROUND_RULES))
def test_rules_look_at_one_sample_at_a_time(name):
    rule = BACKGROUND_RULES[name]
    source = maps(n=11, size=12)
    if rule.source == "object":
        source = source > 0.5
    whole = rule.compute(source, 0.4)
    assert whole.dtype == torch.bool
    for size in (1, 4):
        parts = [rule.compute(part, 0.4) for part in source.split(size)]
        assert torch.equal(torch.cat(parts), whole)


@settings(max_examples=60)
@given(pairs=st.lists(st.integers(0, 4), max_size=9), seed=st.integers(0, 2**31))
def test_intersect_equals_its_definition(pairs, seed):
    draw = torch.Generator().manual_seed(seed)
    backgrounds = torch.rand(len(pairs), 3, 4, generator=draw) < 0.6
    found = intersect(backgrounds, torch.tensor(pairs, dtype=torch.int64), 5)
    for sample in range(5):
        expected = torch.ones(3, 4, dtype=torch.bool)
        for owner, background in zip(pairs, backgrounds, strict=True):
            if owner == sample:
                expected &= background
        assert torch.equal(found[sample], expected)


def test_a_sample_without_a_pair_is_background_throughout():
    nothing = torch.zeros(2, 3, 4, dtype=torch.bool)
    background = intersect(nothing, torch.tensor([2, 2]), 4)
    assert background.flatten(1).all(1).tolist() == [True, True, False, True]


def test_threshold_is_one_level_for_all():
    heatmaps = maps()
    assert torch.equal(threshold(heatmaps, 0.7), heatmaps <= 0.7)
    assert threshold(torch.zeros(1, 2, 2), 0.0).all()


def blobs(seed: int = 0) -> torch.Tensor:
    """Backgrounds around small objects; one without an object, and one that is all object."""
    draw = np.random.default_rng(seed)
    objects = np.stack([draw.random((11, 14)) < share for share in (0.01, 0.03, 0.1, 0.0, 1.0)])
    return torch.from_numpy(~objects)


@pytest.mark.parametrize("pixels", [0, 1, 3, 20])
def test_dilation_equals_that_of_scipy(pixels):
    side = 2 * pixels + 1
    for background, found in zip(blobs(), dilate(blobs(), pixels), strict=True):
        expected = ndimage.binary_dilation(~background.numpy(), np.ones((side, side)))
        np.testing.assert_array_equal(found, ~expected)


@pytest.mark.parametrize("pixels", [0, 1, 4])
def test_soft_weights_are_the_distance_to_the_object(pixels):
    for background, found in zip(blobs(), soften(blobs(), pixels), strict=True):
        distance = ndimage.distance_transform_cdt(background.numpy(), metric="chessboard")
        if background.all():
            distance = np.full(background.shape, np.inf)  # scipy has none where nothing is near
        np.testing.assert_allclose(found, np.minimum(distance / (pixels + 1), 1), atol=1e-6)
        assert torch.equal(found > 0, background)


@pytest.mark.parametrize("change", [dilate, soften])
def test_dilated_and_soft_masks_look_at_one_sample_at_a_time(change):
    whole = change(blobs(), 2)
    parts = torch.cat([change(one[None], 2) for one in blobs()])
    assert torch.equal(whole, parts)


def slow_rule(name: str, heatmap: np.ndarray, level: float) -> np.ndarray:
    """Apply a rule by its definition, in float64 (levels are float32, as documented)."""
    exact = heatmap.astype(np.float64)
    if name in ("quantile", "inverse"):
        rank = max(1, math.ceil(Fraction(str(level)) * exact.size))
        below = exact <= np.sort(exact, axis=None)[rank - 1]
        return below if name == "quantile" else ~below
    if name == "fraction":
        return exact <= float(np.float32(level) * np.float32(exact.max()))
    if name == "threshold":
        return exact <= float(np.float32(level))
    return np.ones_like(exact, bool) if exact.max() == exact.min() else slow_otsu(exact)


def extremes(size: int) -> dict[str, torch.Tensor]:
    spike, tie = torch.zeros(size, size), torch.arange(size * size).view(size, size) % 3
    spike[0, -1] = 6e4
    near = torch.full((size, size), 0.7)
    near[0, 0] += 2**-7
    tiny = torch.rand(size, size, generator=torch.Generator().manual_seed(1)) * 1e-7
    return {"spike": spike, "tie": tie.float(), "near": near, "tiny": tiny, "flat": near * 0 + 3}


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [1, 2, 7, 16])
@pytest.mark.parametrize("name", ["quantile", "fraction", "threshold", "otsu", "inverse"])
def test_rules_equal_their_definition_on_extreme_maps(name, size, kind):
    for level in (0.0, 0.2, 0.5, 1.0):
        for heatmap in extremes(size).values():
            given_map = heatmap.to(kind)
            found = BACKGROUND_RULES[name].compute(given_map[None], level)[0]
            expected = slow_rule(name, given_map.float().numpy(), level)
            np.testing.assert_array_equal(found, expected)


def test_otsu_of_the_greatest_span_of_float32():
    most = torch.finfo(torch.float32).max
    heatmap = torch.tensor([[[-most, -most, most, most]]])
    assert otsu(heatmap).flatten().tolist() == [True, True, False, False]


def test_split_radii_lie_on_the_grid():
    background = torch.tensor([[[True, False]]])
    for levels in range(1, 33):
        for inner in range(levels + 1):
            share = PerturbConfig(
                model="m", output="o", eps=levels / 255, object_eps=inner / 255
            ).object_share
            ball = LinfBall.around(
                torch.full((1, 3, 1, 2), 0.5), split(background, share), levels / 255
            )
            moved = ball.round(torch.ones(1, 3, 1, 2)).int() - 128
            assert moved[0, 0, 0].tolist() == [levels, inner]


def test_split_keeps_soft_edges():
    weight = torch.tensor([[[0.0, 0.25, 1.0]]])
    assert split(weight, 0.4)[0, 0].tolist() == pytest.approx([0.4, 0.55, 1.0])
    assert split(weight, 0.4)[0, 0, 2] == 1


@pytest.mark.parametrize("sigma", [0.5, 1.5, 2.0])
def test_smoothing_is_scipys(sigma):
    maps = torch.rand(2, 12, 16, generator=torch.Generator().manual_seed(0))
    expected = ndimage.gaussian_filter(
        maps.numpy(), sigma, mode="mirror", radius=int(np.ceil(3 * sigma)), axes=(1, 2)
    )
    np.testing.assert_allclose(smooth(maps, sigma), expected, rtol=1e-5)


def test_no_smoothing_and_tiny_maps():
    maps = torch.rand(1, 3, 2)
    assert (smooth(maps, 0.0) == maps).all()
    assert smooth(maps, 5.0).shape == maps.shape
