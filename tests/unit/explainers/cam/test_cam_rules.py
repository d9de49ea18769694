"""Each rule against its published equation, written as loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ectool.explainers import EXPLAINERS
from ectool.explainers.cam.cam_rules import CAM_RULES, PEER_RULES
from ectool.explainers.cam.reductions import first_component

CHANNELS, HEIGHT, WIDTH = 3, 2, 4


def slow_gradcam(a, g):
    return {(c, i, j): g[c].mean() for c, i, j in np.ndindex(a.shape)}


def slow_plus_plus(a, g):
    weights = {}
    for c in range(CHANNELS):
        total, weight = a[c].sum(), 0.0
        for i, j in np.ndindex(HEIGHT, WIDTH):
            below = 2 * g[c, i, j] ** 2 + total * g[c, i, j] ** 3
            alpha = g[c, i, j] ** 2 / below if below else 0.0
            weight += alpha * max(g[c, i, j], 0.0)
        weights |= {(c, i, j): weight for i, j in np.ndindex(HEIGHT, WIDTH)}
    return weights


def slow_xgradcam(a, g):
    return {(c, i, j): (g[c] * a[c] / a[c].sum()).sum() for c, i, j in np.ndindex(a.shape)}


SLOW = {
    "gradcam": slow_gradcam,
    "gradcam++": slow_plus_plus,
    "xgradcam": slow_xgradcam,
    "hirescam": lambda a, g: {at: g[at] for at in np.ndindex(a.shape)},
    "layercam": lambda a, g: {at: max(g[at], 0.0) for at in np.ndindex(a.shape)},
    "gradcam-elementwise": lambda a, g: {
        at: g[at] if g[at] * a[at] > 0 else 0.0 for at in np.ndindex(a.shape)
    },
}


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def apply(rule, activations, gradients):
    return rule.reduce(activations, rule.weigh(activations, gradients))


@pytest.mark.parametrize("method", SLOW)
def test_the_published_equation(method):
    activations, gradients = (drawn(seed, 2, CHANNELS, HEIGHT, WIDTH) for seed in (0, 1))
    found = apply(CAM_RULES[method], activations, gradients)
    for image in range(2):
        a, g = activations[image].double().numpy(), gradients[image].double().numpy()
        weights, expected = SLOW[method](a, g), np.zeros((HEIGHT, WIDTH))
        for c, i, j in np.ndindex(a.shape):
            expected[i, j] += weights[c, i, j] * a[c, i, j]
        np.testing.assert_allclose(found[image], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", CAM_RULES)
def test_one_gradient_for_all_positions_may_come_as_one_number(method):
    activations, gradient = drawn(0, 2, CHANNELS, HEIGHT, WIDTH), drawn(1, 2, CHANNELS, 1, 1)
    for rules in (CAM_RULES, PEER_RULES):
        short = apply(rules[method], activations, gradient)
        whole = apply(rules[method], activations, gradient.expand_as(activations).contiguous())
        torch.testing.assert_close(short, whole, rtol=1e-4, atol=1e-5)


def test_small_gradients_do_not_vanish_in_grad_cam_plus_plus_as_they_do_in_the_peer():
    activations, gradients = (
        drawn(0, 1, CHANNELS, HEIGHT, WIDTH).relu(),
        torch.full((1, 3, 1, 1), 1e-5),
    )
    published = apply(CAM_RULES["gradcam++"], activations, gradients)
    peer = apply(PEER_RULES["gradcam++"], activations, gradients)
    assert published.max() > 1000 * peer.max() > 0


@pytest.mark.parametrize("method", CAM_RULES)
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 2)])
def test_dead_activations_and_dead_gradients_give_zero_maps(method, size):
    zero, some = torch.zeros(2, CHANNELS, *size), drawn(0, 2, CHANNELS, *size)
    for activations, gradients in ((zero, some), (zero, zero)):
        assert not apply(CAM_RULES[method], activations, gradients).any()
    if CAM_RULES[method].uses_gradients:
        assert not apply(CAM_RULES[method], some, zero).any()


@given(
    st.sampled_from([(1, 1, 1), (5, 1, 1), (2, 3, 4), (9, 2, 2), (4, 1, 5)]), st.integers(0, 2**32)
)
def test_the_first_component_is_that_of_a_singular_value_decomposition(shape, seed):
    features = drawn(seed, 2, *shape)
    found = first_component(features)
    for image, component in zip(features.double(), found, strict=True):
        rows = image.flatten(1).T
        u, s, _ = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
        expected = (u[:, 0] * s[0]).view(shape[1:])
        expected = expected if (expected * component).sum() >= 0 else -expected
        gap = s[0] - s[1] if len(s) > 1 else s[0]
        if gap > 0.05 * s[0]:  # with two equal singular values there is no first one
            torch.testing.assert_close(component.double(), expected, rtol=0, atol=1e-3)


def test_the_sign_of_a_component_does_not_depend_on_the_solver():
    features = drawn(0, 4, 6, 3, 3)
    assert (first_component(features) - first_component(-features)).abs().max() < 1e-4
    bright = torch.zeros(1, 4, 3, 3)
    bright[:, :, 1, 1] = 5.0
    assert first_component(bright)[0, 1, 1] > 0
    assert first_component(bright).argmax() == 4


def test_eigen_maps_are_the_same_for_every_class_and_zero_for_none(make, images):
    explain = EXPLAINERS["eigencam"].make(make("deep"))
    several = explain(images, torch.tensor([[0, 1, -1]] * len(images))).heatmaps
    assert several.shape == (7, 3, 4, 6)
    assert torch.equal(several[:, 0], several[:, 1])
    assert several[:, 0].any()
    assert not several[:, 2].any()


@pytest.mark.parametrize("head", ["pooled", "deep", "in-place"])
@pytest.mark.parametrize("method", sorted(set(CAM_RULES) - {"eigencam"}))
def test_several_targets_are_single_ones_side_by_side(make, images, method, head):
    explain = EXPLAINERS[method].make(make(head))
    pairs = torch.tensor([[0, 3], [2, -1], [4, 1], [-1, -1], [1, 1], [3, 2], [0, -1]])
    found = explain(images, pairs).heatmaps
    for column in (0, 1):
        single = explain(images, pairs[:, column].clamp(min=0)).heatmaps
        single[pairs[:, column] < 0] = 0
        torch.testing.assert_close(found[:, column], single)
