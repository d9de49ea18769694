"""The balls by their definitions: projection, rounding, random points."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from ectool.attacks.ball import BALLS, L2Ball, LinfBall, enter, whole_levels
from ectool.attacks.random_start import start_streams


def images(n: int, size: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Clean pixels, soft weights with many zeros and ones, and points anywhere."""
    draw = torch.Generator().manual_seed(seed)
    clean = torch.randint(-40, 296, (n, 3, size, size), generator=draw).clamp(0, 255) / 255
    weight = torch.rand(n, size, size, generator=draw).mul(2).sub(0.5).clamp(0, 1)
    points = clean + torch.randn(clean.shape, generator=draw) * 0.1
    return clean, weight, points


def moved(images: Tensor, clean: Tensor) -> np.ndarray:
    return (images.int() - (clean * 255).round().int()).numpy().astype(np.int64)


@settings(max_examples=60)
@given(
    eps=st.one_of(st.integers(0, 40).map(lambda k: k / 255), st.floats(0, 0.3)),
    soft=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_rounded_points_are_in_the_linf_ball_exactly(eps, soft, seed):
    clean, weight, points = images(3, 4, seed)
    weight = weight if soft else weight > 0.5
    found = moved(LinfBall.around(clean, weight, eps).round(points), clean)
    reach = eps * weight.double().numpy()[:, None]
    assert (np.abs(found) / 255 <= reach).all()
    exact = (points.double() - clean.double()).numpy() * 255
    wanted = np.rint(exact)
    inside = np.abs(wanted) / 255 < reach - 1e-6
    inside &= ((points > 0) & (points < 1)).numpy()
    inside &= np.abs(np.abs(exact - np.floor(exact)) - 0.5) > 1e-3  # float32 may round these up
    assert (found[inside] == wanted[inside]).all()


@settings(max_examples=60)
@given(
    eps=st.one_of(st.sampled_from([0.0, 1 / 255, 5 / 255]), st.floats(0, 2)),
    soft=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_rounded_points_are_in_the_l2_ball_exactly(eps, soft, seed):
    clean, weight, points = images(3, 4, seed)
    weight = weight if soft else weight > 0.5
    ball = L2Ball.around(clean, weight, eps)
    found = moved(ball.round(ball.project_(points.clone())), clean)
    wide = np.broadcast_to(weight.double().numpy()[:, None], found.shape)
    assert not found[wide == 0].any()
    scaled = np.divide(found, wide, out=np.zeros(found.shape), where=wide > 0)
    assert (np.square(scaled).sum((1, 2, 3)) <= (255 * eps) ** 2 * (1 + 1e-12)).all()


def slow_l2_rounding(exact: np.ndarray, eps: float) -> np.ndarray:
    """Round, then take back the level that added most, until it fits."""
    levels = np.rint(exact)
    gained = np.square(levels) - np.square(exact)
    for pixel in np.argsort(-gained, kind="stable"):
        if np.square(levels).sum() <= (255 * eps) ** 2:
            break
        levels[pixel] -= np.sign(levels[pixel])
    return levels


@pytest.mark.parametrize("eps", [0.02, 0.1, 0.25])
def test_l2_rounding_takes_back_what_added_most(eps):
    clean, weight, points = images(4, 6, 1)
    ball = L2Ball.around(clean.double(), weight > 0.5, eps)
    points = ball.project_(points.double())
    found = moved(ball.round(points), clean)
    for row in range(4):
        exact = ((points[row] - clean[row].double()) * 255).flatten().numpy()
        expected = slow_l2_rounding(exact, eps)
        assert np.square(expected).sum() > 0.75 * (255 * eps) ** 2
        np.testing.assert_array_equal(found[row].ravel(), expected)


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_projection_equals_its_definition(norm, dtype):
    clean, weight, points = images(3, 5, 2)
    weight, eps = (weight > 0.5 if dtype == torch.bool else weight), 0.15
    found = BALLS[norm].around(clean.double(), weight, eps).project_(points.double())
    for i in range(3):
        shift, reach = (points[i] - clean[i]).double(), weight[i].double()
        if norm == "linf":
            expected = shift.clamp(-eps * reach, eps * reach)
        else:
            u = torch.where(reach > 0, shift / reach, 0)
            expected = reach * u * min(1.0, eps / math.sqrt(float((u**2).sum())))
        expected = (clean[i] + expected).clamp(0, 1)
        torch.testing.assert_close(found[i], expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("norm", BALLS)
def test_a_projected_point_stays_and_the_object_is_bit_identical(norm):
    clean, weight, points = images(3, 5, 3)
    ball = BALLS[norm].around(clean, weight, 0.1)
    once = ball.project_(points.clone())
    torch.testing.assert_close(ball.project_(once.clone()), once, rtol=0, atol=1e-6)
    still = (weight == 0).unsqueeze(1).expand_as(clean)
    assert torch.equal(once[still], clean[still])
    assert torch.equal(ball.round(once)[still], clean.mul(255).round().byte()[still])


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("surface", [False, True])
def test_random_points_belong_to_the_sample_and_lie_in_the_ball(norm, surface):
    clean, weight, _ = images(4, 5, 4)
    ids, eps = ["a", "b", "c", "d"], 0.1
    clean = clean * 0.5 + 0.25

    def draw(rows: list[int], restart: int = 0) -> Tensor:
        ball = BALLS[norm].around(clean[rows], weight[rows], eps)
        streams = start_streams([ids[row] for row in rows], 7, restart)
        return ball.random_point(streams, surface=surface)

    points = draw([0, 1, 2, 3])
    assert torch.equal(draw([3, 1]), points[[3, 1]])
    assert not torch.equal(draw([0], restart=1), points[:1])
    wide = weight[:, None].expand_as(clean)
    u = torch.where(wide > 0, (points - clean) / wide, 0).flatten(1)
    lengths = u.abs().amax(1) if norm == "linf" else u.norm(dim=1)
    assert (lengths <= eps * (1 + 1e-5)).all()
    if surface:
        torch.testing.assert_close(lengths, torch.full((4,), eps), rtol=1e-4, atol=0)


def test_linf_points_are_uniform_and_l2_points_fill_the_ball():
    clean = torch.full((400, 1, 1, 3), 0.5)
    weight, eps = torch.tensor([True, False, True]).expand(400, 1, 3), 0.2
    streams = start_streams([str(i) for i in range(400)], 0)
    line = (LinfBall.around(clean, weight, eps).random_point(streams) - clean)[..., [0, 2]]
    assert stats.kstest(line.flatten(), stats.uniform(-eps, 2 * eps).cdf).pvalue > 1e-3
    streams = start_streams([str(i) for i in range(400)], 0)
    disc = (L2Ball.around(clean, weight, eps).random_point(streams) - clean)[..., [0, 2]]
    radius = disc.flatten(1).norm(dim=1) / eps
    # Two pixels may move, so the share of the disc within r is r**2.
    assert stats.kstest(radius**2, stats.uniform.cdf).pvalue > 1e-3


@pytest.mark.parametrize("norm", BALLS)
def test_the_steepest_step_beats_every_other_of_its_length(norm):
    clean, weight, gradient = images(2, 4, 5)
    ball = BALLS[norm].around(clean, weight > 0.5, 1.0)
    step = ball.steepest(gradient) * (weight > 0.5).unsqueeze(1)
    gain = (step * gradient).sum((1, 2, 3))
    draw = torch.Generator().manual_seed(0)
    for _ in range(50):
        other = torch.randn(clean.shape, generator=draw) * (weight > 0.5).unsqueeze(1)
        flat = other.flatten(1)
        length = flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)
        other = other / length[:, None, None, None]
        assert ((other * gradient).sum((1, 2, 3)) <= gain * (1 + 1e-5)).all()


@pytest.mark.parametrize("norm", BALLS)
def test_no_gradient_is_no_step(norm):
    clean, weight, _ = images(2, 4, 6)
    gradient = torch.zeros_like(clean)
    gradient[0, 0, 0] = float("nan")
    assert not BALLS[norm].around(clean, weight, 0.1).steepest(gradient).any()


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_memory_format_is_kept(norm, form):
    clean, weight, points = images(4, 6, 7)
    ball = BALLS[norm].around(clean.contiguous(memory_format=form), weight, 0.1)
    part = ball.take(torch.tensor([2, 0]))
    assert torch.equal(part.clean, clean[[2, 0]])
    assert torch.equal(part.weight, weight[[2, 0]])
    for one, rows in ((ball, points), (part, points[[2, 0]])):
        entered = enter(one, rows)
        assert entered.is_contiguous(memory_format=form)
        assert one.round(entered).is_contiguous(memory_format=form)


@pytest.mark.parametrize(
    ("eps", "levels"),
    [(0.0, 0), (0.0039, 0), (1 / 255, 1), (2 / 255, 2), (0.031, 7), (8 / 255, 8), (3.0, 255)],
)
def test_whole_levels(eps, levels):
    assert whole_levels(eps) == levels


def test_whole_levels_is_exact_for_every_multiple_and_just_below():
    for k in range(1, 256):
        assert whole_levels(k / 255) == k
        assert whole_levels(math.nextafter(k / 255, 0)) == k - 1
