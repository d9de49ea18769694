"""Interpretable compositional CNN, against the formulas of the paper in loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ectool.errors import UsageError
from ectool.metrics.filters.groups import filter_similarity
from ectool.training.interpretable.base import FilterSetup
from ectool.training.interpretable.iccnn import (
    ICCNN,
    MOMENTUM,
    correlation,
    moments,
    shares,
)

FILTERS, SIZE, CLASSES = 5, (3, 4), 3
GROUPS = [0, 1, 0, 1, 2]


@pytest.fixture
def make():
    def make(count=3, every=2):
        settings = {"interpretable_groups": count, "interpretable_every": every}
        return ICCNN(FilterSetup(settings, FILTERS, SIZE, CLASSES))

    return make


def slow_pairs(maps, mean):
    """Return rho + 1 of every pair of filters, from the paper."""
    images, filters = maps.shape[:2]
    found = np.empty((filters, filters))
    for i, j in np.ndindex(filters, filters):
        both = [((x[i] - mean[i]) * (x[j] - mean[j])).sum() for x in maps]
        own = [[((x[k] - mean[k]) ** 2).sum() for x in maps] for k in (i, j)]
        sigma = [np.sqrt(sum(each) / images) for each in own]
        found[i, j] = sum(both) / images / (sigma[0] * sigma[1]) + 1
    return found


def slow_shares(pairs, sets):
    return [
        sum(pairs[i, j] for i in own for j in own)
        / sum(pairs[i, j] for i in own for j in range(len(pairs)))
        for own in sets
    ]


def test_the_loss_is_its_definition(make, maps, labels):
    loss = make()
    before = torch.randn(FILTERS, 12, generator=torch.Generator().manual_seed(3))
    loss.mean.copy_(before)
    loss.groups.copy_(torch.tensor(GROUPS))
    value = loss(maps, labels).item()
    x = maps.double().numpy()
    mean = (1 - MOMENTUM) * before.numpy().reshape(FILTERS, *SIZE) + MOMENTUM * x.mean(0)
    sets = [[f for f in range(FILTERS) if GROUPS[f] == k] for k in range(3)]
    of_groups = slow_shares(slow_pairs(x, mean), sets)
    sums = np.array([[sum(image[f].mean() for f in own) for own in sets] for image in x])
    vectors = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    classes = [[n for n in range(6) if labels[n] == k] for k in range(CLASSES)]
    of_classes = slow_shares(vectors @ vectors.T, classes)
    assert value == pytest.approx(-sum(of_groups) - sum(of_classes), rel=1e-4)
    np.testing.assert_allclose(loss.mean.numpy(), mean.reshape(FILTERS, -1), rtol=1e-5, atol=1e-6)


def test_a_mean_map_of_each_filter_does_not_change_the_correlations(make, maps, labels):
    """A mean that is reshaped, not transposed, would be subtracted from other filters."""
    loss, shifted = make(), make()
    offset = 50 * torch.randn(FILTERS, *SIZE, generator=torch.Generator().manual_seed(5))
    for each in (loss, shifted):
        each.begin(lambda: [(maps, labels)], place_of())
    shifted.begin(lambda: [(maps + offset, labels)], place_of())
    assert (loss.groups == shifted.groups).all()
    pairs = correlation(maps.flatten(2) - loss.mean)
    moved = correlation((maps + offset).flatten(2) - shifted.mean)
    torch.testing.assert_close(moved, pairs, rtol=1e-3, atol=1e-4)


def place_of(epoch=0):
    from ectool.training.batch import Position

    return Position(epoch, 0, 0.0, torch.Generator().manual_seed(epoch))


def test_correlation_is_that_of_numpy(maps):
    centred = (maps - maps.mean((0, 2, 3), keepdim=True)).flatten(2)
    rows = maps.transpose(0, 1).flatten(1).double().numpy()
    np.testing.assert_allclose(correlation(centred).numpy(), np.corrcoef(rows), atol=1e-5)


def test_moments_are_those_of_all_images(maps, labels):
    mean, covariance = moments(lambda: [(maps[:4], labels[:4]), (maps[4:], labels[4:])])
    x = maps.double().numpy()
    np.testing.assert_allclose(mean.numpy(), x.mean(0).reshape(FILTERS, -1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(filter_similarity(covariance), slow_pairs(x, x.mean(0)), rtol=1e-4)


def test_constant_filters_have_no_correlation(maps, labels):
    maps[:, 2] = 3
    flat = maps.flatten(2) - maps.flatten(2).mean(0)
    assert correlation(flat)[2].abs().max() < 1e-3
    _, covariance = moments(lambda: [(maps, labels)])
    np.testing.assert_allclose(np.delete(filter_similarity(covariance)[2], 2), 1)


def test_shares_of_a_group_without_members_are_zero():
    member = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert shares(torch.ones(2, 2), member).tolist() == [1, 0]


def test_groups_are_formed_again_every_few_epochs(make, maps, labels):
    loss, calls = make(every=2), []

    def batches():
        calls.append(1)
        yield maps, labels

    for epoch in range(1, 6):  # the first call forms groups where there are none
        loss.begin(batches, place_of(epoch))
    assert len(calls) == 3


def test_more_groups_than_filters_are_refused(make):
    with pytest.raises(UsageError, match=r"--interpretable-groups: expected at most 5.*got 6"):
        make(count=6)


def test_dead_filters_have_a_finite_gradient(make, labels):
    loss = make()
    loss.groups.copy_(torch.tensor(GROUPS))
    x = torch.zeros(6, FILTERS, *SIZE, requires_grad=True)
    loss(x, labels).backward()
    assert x.grad.isfinite().all()
