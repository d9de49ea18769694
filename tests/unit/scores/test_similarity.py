from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import distance
from scipy.stats import pearsonr
from skimage.metrics import structural_similarity

from ectool.scores.blocks import BLOCK_ELEMENTS
from ectool.scores.similarity import SIMILARITIES, cosine, pearson, ssim, top_iou

NAMES = sorted(SIMILARITIES)


def pairs(n: int = 12, size: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    clean = np.maximum(rng.normal(size=(n, size, size)), 0)
    adversarial = np.maximum(clean + 0.7 * rng.normal(size=clean.shape), 0)
    return clean.astype(np.float16), adversarial.astype(np.float16)


def slow_cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def test_cosine_equals_its_definition():
    clean, adversarial = pairs()
    for a, b, score in zip(clean, adversarial, cosine(clean, adversarial), strict=True):
        a, b = a.ravel().tolist(), b.ravel().tolist()
        assert score == pytest.approx(slow_cosine(a, b), abs=1e-6)
        assert score == pytest.approx(1 - distance.cosine(a, b), abs=1e-6)


def test_pearson_equals_scipy_with_negatives_at_zero():
    clean, adversarial = pairs()
    adversarial[0] = clean[0].max() - clean[0]
    scores = pearson(clean, adversarial)
    for a, b, score in zip(clean, adversarial, scores, strict=True):
        expected = pearsonr(a.ravel().astype(float), b.ravel().astype(float)).statistic
        assert score == pytest.approx(max(0.0, expected), abs=1e-6)
    assert scores[0] == 0


@pytest.mark.parametrize("size", [7, 9, 14])
def test_ssim_equals_scikit_image(size):
    clean, adversarial = pairs(size=size)
    for a, b, score in zip(clean, adversarial, ssim(clean, adversarial), strict=True):
        a, b = a.astype(np.float64), b.astype(np.float64)
        expected = structural_similarity(
            a, b, win_size=7, data_range=max(a.max(), b.max()), use_sample_covariance=False
        )
        assert score == pytest.approx(max(0.0, expected), abs=1e-6)


def slow_ssim(a, b):
    peak = max(a.max(), b.max())
    side = min(7, *a.shape)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    values = []
    for y in range(a.shape[0] - side + 1):
        for x in range(a.shape[1] - side + 1):
            p, q = a[y : y + side, x : x + side], b[y : y + side, x : x + side]
            covariance = ((p - p.mean()) * (q - q.mean())).mean()
            values.append(
                (2 * p.mean() * q.mean() + c1)
                * (2 * covariance + c2)
                / (p.mean() ** 2 + q.mean() ** 2 + c1)
                / (p.var() + q.var() + c2)
            )
    return max(0.0, float(np.mean(values)))


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (4, 4), (7, 7), (8, 11)])
def test_ssim_equals_its_definition_on_any_shape(shape):
    rng = np.random.default_rng(1)
    clean, adversarial = rng.random((2, 6, *shape))
    for a, b, score in zip(clean, adversarial, ssim(clean, adversarial), strict=True):
        assert score == pytest.approx(slow_ssim(a, b), abs=1e-6)


def slow_top_iou(a, b, q):
    def strongest(values):
        threshold = sorted(values, reverse=True)[math.ceil(q * len(values)) - 1]
        return {i for i, value in enumerate(values) if value >= threshold and value > 0}

    a, b = strongest(a), strongest(b)
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("q", [0.02, 0.2, 0.5, 1.0])
def test_top_iou_equals_its_definition(q):
    clean, adversarial = pairs()
    for a, b, score in zip(clean, adversarial, top_iou(clean, adversarial, q), strict=True):
        assert score == pytest.approx(slow_top_iou(a.ravel(), b.ravel(), q), abs=1e-6)


def test_top_iou_counts_ties_and_no_zeros():
    clean = np.array([[[2.0, 2.0, 0.0, 0.0]]])
    adversarial = np.array([[[5.0, 0.0, 0.0, 0.0]]])
    assert top_iou(clean, adversarial, 0.25).tolist() == [0.5]
    assert top_iou(clean, adversarial, 1.0).tolist() == [0.5]


@settings(max_examples=60)
@given(
    data=arrays(
        np.float16,
        (2, 3, 4, 5),
        elements=st.floats(0, 65504, width=16, allow_subnormal=True),
    )
)
def test_scores_are_symmetric_and_within_zero_and_one_or_undefined(data):
    clean, adversarial = data
    for similarity in SIMILARITIES.values():
        scores = similarity(clean, adversarial)
        np.testing.assert_allclose(scores, similarity(adversarial, clean), atol=1e-6)
        assert scores.dtype == np.float32
        defined = ~np.isnan(scores)
        assert ((scores[defined] >= 0) & (scores[defined] <= 1)).all()


@pytest.mark.parametrize("name", NAMES)
def test_identical_maps_score_one(name):
    clean, _ = pairs()
    np.testing.assert_allclose(SIMILARITIES[name](clean, clean), 1, atol=1e-6)


@pytest.mark.parametrize("name", ["cosine", "pearson", "top-iou"])
def test_scale_of_a_map_does_not_matter(name):
    clean, adversarial = (maps.astype(np.float64) for maps in pairs())
    expected = SIMILARITIES[name](clean, adversarial)
    for factor in (1e-200, 1e-3, 1e200):
        scores = SIMILARITIES[name](clean * factor, adversarial)
        np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_common_scale_does_not_matter_to_ssim():
    clean, adversarial = (maps.astype(np.float64) for maps in pairs())
    np.testing.assert_allclose(
        ssim(clean * 1e-6, adversarial * 1e-6), ssim(clean, adversarial), atol=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
def test_largest_float16_values_do_not_overflow(name):
    clean = np.full((1, 7, 7), 65504, dtype=np.float16)
    clean[0, 0, 0] = 0
    assert SIMILARITIES[name](clean, clean) == pytest.approx(1)


@pytest.mark.parametrize("name", NAMES)
def test_two_empty_maps_are_undefined_and_one_is_zero(name):
    clean, adversarial = pairs(n=4)
    clean[0] = adversarial[0] = 0
    clean[1] = 0
    adversarial[2] = 0
    scores = SIMILARITIES[name](clean, adversarial)
    assert np.isnan(scores).tolist() == [True, False, False, False]
    assert scores[1] == scores[2] == 0
    assert scores[3] > 0


def test_constant_maps_of_any_value_are_undefined_to_pearson():
    for value in (0.1, 1 / 3, 1e-7, 65504.0):
        clean = np.full((2, 7, 7), value, dtype=np.float64)
        adversarial = np.full((2, 7, 7), 3 * value)
        adversarial[1] = np.arange(49).reshape(7, 7)
        scores = pearson(clean, adversarial)
        assert np.isnan(scores[0])
        assert scores[1] == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("other_is_empty", [False, True])
def test_non_finite_map_is_undefined(name, value, other_is_empty):
    clean, adversarial = pairs(n=3)
    clean[1, 2, 3] = value
    if other_is_empty:
        adversarial[1] = 0
    for scores in (
        SIMILARITIES[name](clean, adversarial),
        SIMILARITIES[name](adversarial, clean),
    ):
        assert np.isnan(scores).tolist() == [False, True, False]


@pytest.mark.parametrize("name", NAMES)
def test_samples_do_not_mix_across_blocks(name):
    size = 128
    n = 2 * BLOCK_ELEMENTS // size**2 + 1
    clean, adversarial = pairs(n=n, size=size)
    whole = SIMILARITIES[name](clean, adversarial)
    order = np.random.default_rng(0).permutation(n)
    shuffled = SIMILARITIES[name](clean[order], adversarial[order])
    np.testing.assert_allclose(shuffled, whole[order], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_no_samples(name):
    empty = np.zeros((0, 7, 7), dtype=np.float16)
    assert SIMILARITIES[name](empty, empty).shape == (0,)
