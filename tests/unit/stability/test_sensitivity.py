from __future__ import annotations

import pytest
import torch
from captum.metrics import sensitivity_max as captum_sensitivity_max

from ectool.explainers import EXPLAINERS
from ectool.models.registry import create
from ectool.stability import sensitivity_max

SIZE = (16, 16)
RADIUS, DRAWS = 0.05, 6


@pytest.fixture(scope="module")
def explain():
    model = create("smallcnn", tuple("abc"), seed=0, input_size=SIZE).eval().requires_grad_(False)
    explainer = EXPLAINERS["layercam"].make(model)
    targets = torch.tensor([0, 1, 2, 0])
    return lambda images: explainer(images, targets[: len(images)]).heatmaps


@pytest.fixture(scope="module")
def images():
    return torch.rand(4, 3, *SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def neighbours(images):
    generator = torch.Generator().manual_seed(2)
    noise = torch.rand(DRAWS, *images.shape, generator=generator) * 2 - 1
    return [(images + RADIUS * one).clamp(0, 1) for one in noise]


def slow(explain, images, neighbours):
    clean = explain(images)
    found = []
    for row in range(len(images)):
        length = sum(float(v) ** 2 for v in clean[row].flatten()) ** 0.5
        changes = []
        for near in neighbours:
            difference = explain(near)[row] - clean[row]
            changes.append(sum(float(v) ** 2 for v in difference.flatten()) ** 0.5 / length)
        found.append(max(changes))
    return found


def test_it_equals_its_definition(explain, images, neighbours):
    found = sensitivity_max(explain, explain(images), neighbours)
    assert found.tolist() == pytest.approx(slow(explain, images, neighbours), rel=1e-4)


def test_it_equals_captum_on_the_same_draws(explain, images, neighbours):
    draws = iter(neighbours)
    # It takes tuples to begin with and tensors later, and reads a bare tensor as a tuple of rows.
    expected = captum_sensitivity_max(
        lambda inputs: (explain(inputs[0] if isinstance(inputs, tuple) else inputs),),
        images,
        perturb_func=lambda inputs: next(draws),
        n_perturb_samples=DRAWS,
        max_examples_per_batch=len(images),
    )
    found = sensitivity_max(explain, explain(images), neighbours)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_nothing_changes_without_a_neighbour_or_at_the_image_itself(explain, images):
    clean = explain(images)
    assert sensitivity_max(explain, clean, []).tolist() == [0, 0, 0, 0]
    assert sensitivity_max(explain, clean, [images]).tolist() == [0, 0, 0, 0]


def test_a_zero_map_is_undefined(images):
    maps = torch.rand(4, 3, 3, generator=torch.Generator().manual_seed(0))
    maps[1] = 0
    found = sensitivity_max(lambda images: maps + 1, maps, [images])
    assert found.isnan().tolist() == [False, True, False, False]


def test_maps_of_multi_label_images_are_independent(images, neighbours):
    maps = torch.rand(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))

    def explain(images):
        return maps * images.mean((1, 2, 3))[:, None, None, None]

    found = sensitivity_max(explain, explain(images), neighbours)
    for column in range(2):
        alone = sensitivity_max(
            lambda images, c=column: explain(images)[:, c],
            explain(images)[:, column],
            neighbours,
        )
        assert torch.equal(found[:, column], alone)
