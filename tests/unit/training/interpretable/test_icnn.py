"""Interpretable CNN, against the formulas of the paper in loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ectool.training.interpretable.base import FilterSetup
from ectool.training.interpretable.icnn import ICNN, MOMENTUM, all_templates

FILTERS, SIZE, CLASSES = 5, (3, 4), 3
CELLS = SIZE[0] * SIZE[1]


@pytest.fixture
def loss():
    return ICNN(FilterSetup({}, FILTERS, SIZE, CLASSES))


def slow_templates():
    """Return T_mu of every cell, and T_-, from the paper."""
    tau, found = 0.5 / CELLS, []
    for row, column in np.ndindex(SIZE):
        template = np.empty(SIZE)
        for i, j in np.ndindex(SIZE):
            away = abs(i - row) / SIZE[0] + abs(j - column) / SIZE[1]
            template[i, j] = tau * max(1 - 4 * away, -1)
        found.append(template)
    return [*found, np.full(SIZE, -tau)]


def slow_loss(maps, shows, category, z):
    """Return the loss and its gradient with respect to the maps, filter by filter.

    `shows[n][k]` is 1, 0 or -1 (ignored); z is the mean of exp(fit) for each filter and template.
    """
    templates, total, slope = slow_templates(), 0.0, np.zeros(maps.shape)
    images, filters = maps.shape[:2]
    for n, f in np.ndindex(images, filters):
        x = np.maximum(maps[n, f], 0)
        state = shows[n][category[f]]
        if category[f] < 0 or state < 0:
            continue
        # p(x | T) for |X| images is exp(fit) / (|X| z), as Z_T is the sum over |X| images.
        p = [math.exp((x * t).sum()) / (images * z[f][k]) for k, t in enumerate(templates)]
        prior = 1 / len(templates)
        p_x = sum(prior * each for each in p)
        chosen = int(x.argmax()) if state == 1 else len(templates) - 1
        ratio = math.log(p[chosen] / p_x)
        # Multiplied by 1 / p(T), and the mean over the filters.
        total -= p[chosen] * ratio / filters
        slope[n, f] = -p[chosen] * ratio * templates[chosen] / filters * (maps[n, f] > 0)
    return total, slope


def one_hot(labels):
    return [[int(k == label) for k in range(CLASSES)] for label in labels.tolist()]


def assigned(loss, category, maps):
    """Set the classes of the filters, and the means of exp(fit) of other maps."""
    draw = np.random.default_rng(0)
    other = np.maximum(8 * draw.normal(size=(20, FILTERS, *SIZE)), 0)
    z = np.array(
        [[np.exp((other[:, f] * t).sum((1, 2))).mean() for t in slow_templates()] for f in range(5)]
    )
    loss.category.copy_(torch.tensor(category))
    loss.log_z.copy_(torch.from_numpy(np.log(z)))
    x = np.maximum(maps.numpy(), 0).astype(float)
    batch = [[np.exp((x[:, f] * t).sum((1, 2))).mean() for t in slow_templates()] for f in range(5)]
    return (1 - MOMENTUM) * z + MOMENTUM * np.array(batch)


@pytest.mark.parametrize("category", [[0, 1, 2, 0, 1], [2, -1, 2, -1, 0]])
def test_loss_and_gradient_are_those_of_the_paper(loss, maps, labels, category):
    z = assigned(loss, category, maps)
    leaf = maps.clone().requires_grad_()
    value = loss(leaf, labels)
    value.backward()
    total, slope = slow_loss(maps.double().numpy(), one_hot(labels), category, z)
    assert value.item() == pytest.approx(total, rel=1e-4)
    np.testing.assert_allclose(leaf.grad.numpy(), slope, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(loss.log_z.exp().numpy(), z, rtol=1e-5)


def test_ignored_labels_do_not_count(loss, maps):
    shows = torch.tensor(
        [[1, 0, -1], [0, 1, 1], [-1, -1, 0], [1, 1, 0], [0, 0, 1], [1, -1, 0]], dtype=torch.int8
    )
    category = [0, 1, 2, 1, 1]
    z = assigned(loss, category, maps)
    total, _ = slow_loss(maps.double().numpy(), shows.tolist(), category, z)
    assert loss(maps, shows).item() == pytest.approx(total, rel=1e-4)


def test_the_gradient_over_all_templates_is_that_of_mutual_information():
    """The term of one template is a part of d(-MI)/dx = -sum_T p(T) p(x|T) T log(p(x|T)/p(x))."""
    templates = all_templates(*SIZE).double()
    x = torch.rand(4, CELLS, dtype=torch.float64, requires_grad=True)
    fits = x @ templates.T
    p = (fits - fits.logsumexp(0).detach()).exp()
    prior = 1 / len(templates)
    p_x = prior * p.sum(1, keepdim=True)
    information = (prior * p * (p / p_x).log()).sum()
    (gradient,) = torch.autograd.grad(-information, x)
    expected = -prior * (p * (p / p_x).log()).detach() @ templates
    torch.testing.assert_close(gradient, expected)


def test_templates_are_those_of_the_paper():
    found = all_templates(*SIZE).reshape(-1, *SIZE)
    np.testing.assert_allclose(found.numpy(), slow_templates(), rtol=1e-6)


def test_filters_take_the_class_that_activates_them_most(loss, maps, labels, place):
    assert loss(maps, labels).item() == 0  # no class yet
    loss(maps[:2], labels[:2])
    loss.begin(list, place(1))
    seen, shown = torch.cat([maps, maps[:2]]).relu(), torch.cat([labels, labels[:2]])
    for f in range(FILTERS):
        means = [seen[shown == k, f].sum().item() / int((shown == k).sum()) for k in range(CLASSES)]
        assert loss.category[f] == int(np.argmax(means))
    assert not loss.sums.any()


def test_classes_without_images_are_not_assigned(loss, maps, place):
    loss(maps, torch.full((6,), 2))
    loss.begin(list, place(1))
    assert loss.category.tolist() == [2] * FILTERS


def test_steps_make_the_filters_fit_their_templates(loss, maps, labels, place):
    x = maps.clone().requires_grad_()
    loss(x, labels)
    loss.begin(list, place(1))
    optimizer = torch.optim.SGD([x], lr=200.0)
    values = []
    for _ in range(30):
        optimizer.zero_grad()
        value = loss(x, labels)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0]


def test_large_maps_do_not_overflow(loss, labels):
    maps = torch.full((6, FILTERS, *SIZE), 1e4)
    loss.category.zero_()
    assert loss(maps, labels).isfinite()
