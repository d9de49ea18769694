"""Similarity of filters, their groups, and the purity of groups."""

from __future__ import annotations

import numpy as np
import pytest

from ectool.metrics.filters.groups import (
    IMAGES_AT_ONCE,
    filter_covariance,
    filter_similarity,
    group_purity,
    spectral_groups,
)


@pytest.fixture
def maps():
    draw = np.random.default_rng(0)
    return draw.normal(size=(IMAGES_AT_ONCE + 9, 5, 2, 3)).astype(np.float32) + 4


def slow_similarity(maps):
    """Return rho + 1, where the mean of a filter is a map."""
    mean = maps.astype(float).mean(0)
    found = np.empty((maps.shape[1],) * 2)
    for i, j in np.ndindex(found.shape):
        both = np.mean([((x[i] - mean[i]) * (x[j] - mean[j])).sum() for x in maps])
        own = [np.mean([((x[k] - mean[k]) ** 2).sum() for x in maps]) for k in (i, j)]
        found[i, j] = both / np.sqrt(own[0] * own[1]) + 1
    return found


def test_similarity_is_its_definition(maps):
    found = filter_similarity(filter_covariance(maps))
    np.testing.assert_allclose(found, slow_similarity(maps), rtol=1e-5)
    assert np.diag(found) == pytest.approx(2)


def test_a_constant_filter_is_like_no_other(maps):
    maps[:, 1] = 3
    found = filter_similarity(filter_covariance(maps))
    assert np.delete(found[1], 1).tolist() == [1] * 4
    assert found[1, 1] == 2


def test_purity_is_its_definition():
    pairs = np.random.default_rng(0).uniform(0, 2, size=(6, 6))
    pairs = pairs + pairs.T
    groups = np.array([0, 1, 0, 2, 1, 0])
    shares = []
    for k in range(3):
        own = [i for i in range(6) if groups[i] == k]
        inside = sum(pairs[i, j] for i in own for j in own)
        shares.append(inside / sum(pairs[i, j] for i in own for j in range(6)))
    assert group_purity(pairs, groups) == pytest.approx(np.mean(shares))


def test_purity_of_opposite_and_of_equal_filters():
    truth = np.repeat([0, 1], 3)
    opposite = 2.0 * (truth[:, None] == truth)
    assert group_purity(opposite, truth) == 1
    assert group_purity(np.ones((6, 6)), truth) == 0.5


def test_similar_filters_form_groups():
    truth = np.repeat([0, 1, 2], 4)
    pairs = 0.5 + 1.4 * (truth[:, None] == truth)
    found = spectral_groups(pairs, 3, seed=0)
    assert ((found[:, None] == found) == (truth[:, None] == truth)).all()
    assert (spectral_groups(pairs, 3, seed=0) == found).all()


def test_equal_filters_are_grouped_without_a_warning():
    assert set(spectral_groups(np.full((6, 6), 2.0), 3, seed=0)) <= {0, 1, 2}
