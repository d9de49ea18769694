"""The attack on the explanation: its objective, the kept prediction, and its success."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ectool.attacks.ball import LinfBall
from ectool.attacks.explanation import pgd_best
from ectool.attacks.objectives import HeatmapChange, heatmap_change, value_and_gradient
from ectool.attacks.perturbation import perturb
from ectool.attacks.pgd import Settings
from ectool.attacks.random_start import start_streams

N, EPS = 8, 8 / 255


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trunk = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh())
        head = nn.Linear(6, 4)
    return trunk.requires_grad_(False), head.requires_grad_(False)


@pytest.fixture(scope="module")
def explain(network):
    """A class activation map, written out."""
    trunk, head = network

    def run(pixels):
        activations = trunk(pixels)
        logits = head(activations.mean((2, 3)))
        weights = head.weight[torch.arange(len(pixels)) % 4]
        return torch.einsum("nc,nchw->nhw", weights, activations).relu(), logits

    return run


@pytest.fixture(scope="module")
def ball():
    draw = torch.Generator().manual_seed(0)
    clean = torch.randint(0, 256, (N, 3, 8, 8), generator=draw) / 255
    return LinfBall.around(clean, torch.rand(N, 8, 8, generator=draw) < 0.7, EPS)


@pytest.fixture
def change(explain, ball):
    heatmaps, logits = explain(ball.clean)
    return HeatmapChange(explain, heatmaps, logits.argmax(1))


@pytest.fixture
def start(ball):
    return ball.random_point(start_streams([str(row) for row in range(N)], 0))


def test_change_is_one_minus_the_cosine_and_the_mean_over_maps():
    draw = torch.Generator().manual_seed(0)
    clean, other = torch.rand(2, 3, 4, 5, generator=draw), torch.rand(2, 3, 4, 5, generator=draw)
    clean[0, 2] = 0
    other[1, 0] = 0
    found = heatmap_change(other, clean)
    for row in range(2):
        parts = []
        for a, b in zip(
            other[row].flatten(1).tolist(), clean[row].flatten(1).tolist(), strict=True
        ):
            if any(b):
                dot = sum(p * q for p, q in zip(a, b, strict=True))
                length = math.hypot(*a) * math.hypot(*b)
                parts.append(1 - dot / length if length else 1.0)
        assert float(found[row]) == pytest.approx(sum(parts) / len(parts), abs=1e-6)
    torch.testing.assert_close(heatmap_change(other[:, 0], clean[:, 0])[1], torch.tensor(1.0))


def test_where_the_clean_map_is_zero_nothing_is_measured():
    maps = torch.rand(2, 4, 4).requires_grad_()
    found = heatmap_change(maps, torch.zeros(2, 4, 4))
    assert found.tolist() == [0, 0]
    assert not torch.autograd.grad(found.sum(), maps)[0].any()


def test_zero_maps_have_a_finite_gradient():
    maps = torch.zeros(2, 4, 4).requires_grad_()
    (gradient,) = torch.autograd.grad(heatmap_change(maps, torch.rand(2, 4, 4)).sum(), maps)
    assert gradient.isfinite().all()


def test_the_value_is_the_change_less_the_violated_margin(change, start, explain):
    value, gradient = value_and_gradient(change, start)
    maps, logits = explain(start)
    for row in range(N):
        z, prediction = logits[row].tolist(), int(change.predictions[row])
        violation = max(v for j, v in enumerate(z) if j != prediction) - z[prediction]
        measured = float(heatmap_change(maps[row : row + 1], change.heatmaps[row : row + 1]))
        assert float(value.objective[row]) == pytest.approx(measured - max(violation, 0), abs=1e-6)
        expected = -math.inf if violation > 0 else measured
        assert float(value.score[row]) == pytest.approx(expected, abs=1e-6)
    assert gradient.any(3).any(2).any(1).all()


@pytest.mark.parametrize("kind", ["single-label", "multi-label"])
def test_predictions_are_kept_and_explanations_change(kind, network, explain, ball, start):
    trunk, head = network
    heatmaps, logits = explain(ball.clean)
    predictions = logits.argmax(1) if kind == "single-label" else (logits > 0).to(torch.int8)
    change = HeatmapChange(explain, heatmaps, predictions)
    settings = Settings(10, EPS / 4)
    found = perturb(
        pgd_best,
        ball,
        change,
        [start],
        settings,
        evaluation_model=lambda p: head(trunk(p).mean((2, 3))),
    )
    assert change.allows(found.logits).all()
    images = found.images.float() / 255
    noise = ball.round(start).float() / 255
    moved, at_start = (heatmap_change(explain(x)[0], heatmaps) for x in (images, noise))
    kept = (images != ball.clean).flatten(1).any(1)
    assert kept.float().mean() > 0.5
    assert (moved[kept] > at_start[kept]).all()
    assert moved.mean() > 2 * at_start.mean()


def test_the_best_permitted_image_of_all_steps_is_returned(change, ball, start):
    seen = []

    def explain(pixels):
        seen.append(pixels.detach().clone())
        return change.explain(pixels)

    watched = HeatmapChange(explain, change.heatmaps, change.predictions)
    found = pgd_best(ball, watched, start, Settings(6, EPS))
    assert len(seen) == 7
    scores = torch.stack([change(one).score for one in seen])
    for row in range(N):
        best = int(scores[:, row].argmax())
        is_kept = scores[best, row] > 0
        expected = seen[best][row] if is_kept else ball.clean[row]
        assert torch.equal(found[row], expected)


def test_the_clean_image_replaces_one_whose_prediction_changes_for_the_evaluation_model(
    change, ball, start
):
    flipped = torch.arange(N) % 2 == 0

    def evaluation_model(pixels):
        logits = change.explain(pixels)[1]
        is_clean = (pixels == ball.clean).flatten(1).all(1)
        return torch.where((flipped & ~is_clean)[:, None], -logits, logits)

    found = perturb(
        pgd_best,
        ball,
        change,
        [start],
        Settings(3, EPS / 2),
        evaluation_model=evaluation_model,
    )
    clean = ball.clean.mul(255).round().byte()
    assert torch.equal(found.images[flipped], clean[flipped])
    assert change.allows(found.logits).all()
    assert not torch.equal(found.images, clean)


def test_several_starts_are_compared_by_the_change(change, ball):
    streams = [start_streams([str(row) for row in range(N)], 0, restart) for restart in range(3)]
    starts = [ball.random_point(one) for one in streams]

    def evaluation_model(pixels):
        return change.explain(pixels)[1]

    def run(chosen):
        found = perturb(
            pgd_best,
            ball,
            change,
            chosen,
            Settings(3, EPS / 2),
            evaluation_model=evaluation_model,
        )
        return change(found.images.float() / 255).score

    singles = torch.stack([run([one]) for one in starts])
    assert torch.equal(run(starts), singles.amax(0))
