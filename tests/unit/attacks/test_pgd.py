from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torchattacks
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ectool.attacks.pgd import (
    Attack,
    input_gradient,
    pgd,
    pgd_steps,
    pixel_bounds,
    round_to_levels,
    whole_levels,
)

EPS, ALPHA = 8 / 255, 2 / 255


def smooth_model(dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 5),
    )
    return model.to(dtype).eval()


def batch(n: int = 6, size: int = 8, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures with black and white pixels in them, labels, and background masks."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(-40, 296, (n, 3, size, size), generator=generator).clamp(0, 255)
    labels = torch.randint(0, 5, (n,), generator=generator)
    background = torch.rand(n, size, size, generator=generator) < 0.5
    return images.to(torch.uint8), labels, background


def everywhere(images: Tensor) -> Tensor:
    return torch.ones(images.shape[0], *images.shape[2:], dtype=torch.bool)


def slow_pgd(model, clean, label, background, start, eps, alpha, steps):
    """The definition for one picture, pixel by pixel."""
    current = start.clone()
    for step in range(-1, steps):
        gradient = torch.zeros_like(current)
        if step >= 0:
            leaf = current.clone().requires_grad_()
            loss = -torch.log_softmax(model(leaf[None]), dim=1)[0, label]
            gradient = torch.autograd.grad(loss, leaf)[0]
        for c, y, x in np.ndindex(*current.shape):
            slope, here = float(gradient[c, y, x]), float(clean[c, y, x])
            value = float(current[c, y, x]) + alpha * ((slope > 0) - (slope < 0))
            reach = eps if background[y, x] else 0.0
            value = min(max(value, here - reach), here + reach)
            current[c, y, x] = min(max(value, 0.0), 1.0)
    return current


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("eps", [8 / 255, 0.0127])
def test_full_mask_equals_torchattacks_step_by_step(steps, eps):
    model = smooth_model(torch.float64)
    images, labels, _ = batch()
    clean = images.double() / 255
    torch.manual_seed(3)
    theirs = torchattacks.PGD(model, eps=eps, alpha=ALPHA, steps=steps, random_start=True)
    expected = theirs(clean, labels)
    torch.manual_seed(3)
    start = clean + torch.empty_like(clean).uniform_(-eps, eps)
    lower, upper = pixel_bounds(clean, everywhere(images), eps)
    ours = pgd_steps(model, start, labels, lower, upper, alpha=ALPHA, steps=steps)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


def test_full_mask_equals_torchattacks_in_float32_from_the_clean_pictures():
    model = smooth_model()
    images, labels, _ = batch()
    clean = images.float() / 255
    expected = torchattacks.PGD(model, eps=EPS, alpha=ALPHA, steps=5, random_start=False)(
        clean, labels
    )
    lower, upper = pixel_bounds(clean, everywhere(images), EPS)
    ours = pgd_steps(model, clean, labels, lower, upper, alpha=ALPHA, steps=5)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_masked_steps_equal_the_definition_pixel_by_pixel(steps):
    model = smooth_model(torch.float64)
    images, labels, background = batch(n=2, size=5)
    clean = images.double() / 255
    start = clean + torch.rand(clean.shape, dtype=torch.float64).sub(0.5).mul(4 * EPS)
    lower, upper = pixel_bounds(clean, background, EPS)
    moved = pgd_steps(model, start, labels, lower, upper, alpha=ALPHA, steps=steps)
    for i in range(2):
        expected = slow_pgd(
            model, clean[i], int(labels[i]), background[i], start[i], EPS, ALPHA, steps
        )
        torch.testing.assert_close(moved[i], expected, rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    eps=st.one_of(st.integers(0, 40).map(lambda k: k / 255), st.floats(0, 0.3)),
    alpha=st.floats(0, 0.2),
    steps=st.integers(0, 3),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 2**31),
)
def test_rounded_result_stays_in_the_ball_and_keeps_the_foreground(eps, alpha, steps, share, seed):
    images, labels, _ = batch(n=3, size=4, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    background = torch.rand(3, 4, 4, generator=generator) < share
    start = torch.rand(images.shape, generator=generator)
    attack = pgd(
        smooth_model(),
        images,
        labels,
        background=background,
        eps=eps,
        alpha=alpha,
        steps=steps,
        start=start,
    )
    levels = (attack.images.int() - images.int()).abs()
    assert levels.double().div(255).max() <= eps
    assert not levels[~background.unsqueeze(1).expand_as(levels)].any()


def test_perturbation_reaches_the_last_level_of_the_ball():
    images, labels, background = batch()
    attack = pgd(
        smooth_model(),
        images,
        labels,
        background=background,
        eps=3 / 255,
        alpha=1.0,
        steps=1,
        start=images,
    )
    levels = attack.images.int() - images.int()
    free = background.unsqueeze(1) & (images >= 3) & (images <= 252)
    assert (levels[free].abs() == 3).all()


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


def test_loss_rises_and_falls_when_targeted():
    model = smooth_model()
    images, labels, background = batch(n=16)
    cross_entropy = nn.CrossEntropyLoss(reduction="none")
    with torch.no_grad():
        before = cross_entropy(model(images.float() / 255), labels)
    options = {"background": background, "eps": EPS, "alpha": ALPHA, "steps": 5}
    up = pgd(model, images, labels, start=images, **options)
    down = pgd(model, images, labels, start=images, targeted=True, **options)
    assert (cross_entropy(up.logits, labels) > before).all()
    assert (cross_entropy(down.logits, labels) < before).all()


def test_logits_are_those_of_the_rounded_pictures():
    model = smooth_model()
    images, labels, background = batch()
    attack = pgd(
        model, images, labels, background=background, eps=EPS, alpha=ALPHA, steps=2, start=images
    )
    with torch.no_grad():
        expected = model(attack.images.float() / 255)
    torch.testing.assert_close(attack.logits, expected, rtol=0, atol=0)
    assert not attack.logits.requires_grad


def attack_in_batches(size: int, order: list[int]) -> Attack:
    model = smooth_model()
    images, labels, background = batch(n=64)
    start = images.float() / 255 + torch.rand(
        images.shape, generator=torch.Generator().manual_seed(1)
    ).sub(0.5).mul(2 * EPS)
    parts = [order[i : i + size] for i in range(0, 64, size)]
    attacks = [
        pgd(
            model,
            images[part],
            labels[part],
            background=background[part],
            eps=EPS,
            alpha=ALPHA,
            steps=3,
            start=start[part],
        )
        for part in parts
    ]
    back = torch.tensor(order).argsort()
    return Attack(
        torch.cat([attack.images for attack in attacks])[back],
        torch.cat([attack.logits for attack in attacks])[back],
    )


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("reverse", [False, True])
def test_batch_size_and_order_do_not_matter(size, reverse):
    whole = attack_in_batches(64, list(range(64)))
    parts = attack_in_batches(size, list(range(64))[:: -1 if reverse else 1])
    assert (whole.images != parts.images).float().mean() < 0.005
    torch.testing.assert_close(whole.logits, parts.logits, rtol=0, atol=1e-3)


def test_model_is_left_as_found():
    model = smooth_model()
    model[0].requires_grad_(False)
    model[4].weight.grad = torch.ones_like(model[4].weight)
    before = [(p.clone(), p.requires_grad, p.grad) for p in model.parameters()]
    images, labels, background = batch()
    pgd(model, images, labels, background=background, eps=EPS, alpha=ALPHA, steps=2, start=images)
    for parameter, (value, requires_grad, grad) in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, value)
        assert parameter.requires_grad is requires_grad
        assert parameter.grad is grad
    assert torch.equal(model[4].weight.grad, torch.ones_like(model[4].weight))
    assert not model.training


def test_inputs_are_left_as_found_and_gradients_may_be_off_outside():
    images, labels, background = batch()
    start = images.float() / 255 + 0.5
    copies = images.clone(), start.clone()
    with torch.no_grad():
        attack = pgd(
            smooth_model(),
            images,
            labels,
            background=background,
            eps=EPS,
            alpha=ALPHA,
            steps=2,
            start=start,
        )
    assert torch.equal(images, copies[0])
    assert torch.equal(start, copies[1])
    assert not torch.equal(attack.images, images)


def test_start_outside_the_ball_is_projected_and_no_step_returns_it():
    images, labels, background = batch()
    attack = pgd(
        smooth_model(),
        images,
        labels,
        background=background,
        eps=EPS,
        alpha=ALPHA,
        steps=0,
        start=torch.full(images.shape, 7.0),
    )
    raised = (images.int() + 8 * background.unsqueeze(1)).clamp(max=255)
    assert torch.equal(attack.images.int(), raised)


def test_warm_start_from_samples_equals_the_same_start_as_pixels():
    model = smooth_model()
    images, labels, background = batch()
    options = {"background": background, "eps": EPS, "alpha": ALPHA, "steps": 2}
    last = pgd(model, images, labels, start=images, **options).images
    warm = pgd(model, images, labels, start=last, **options)
    for pixels in (last.float() / 255, last.double() / 255):
        again = pgd(model, images, labels, start=pixels, **options)
        assert torch.equal(warm.images, again.images)


@pytest.mark.parametrize("start_format", [torch.contiguous_format, torch.channels_last])
def test_memory_format_of_the_pictures_reaches_the_model(start_format):
    inner = smooth_model().to(memory_format=torch.channels_last)
    formats = []

    def model(pixels: Tensor) -> Tensor:
        formats.append(pixels.is_contiguous(memory_format=torch.channels_last))
        return inner(pixels)

    images, labels, background = batch()
    attack = pgd(
        model,
        images.to(memory_format=torch.channels_last),
        labels,
        background=background,
        eps=EPS,
        alpha=ALPHA,
        steps=3,
        start=images.contiguous(memory_format=start_format),
    )
    assert formats == [True] * 4
    assert attack.images.is_contiguous(memory_format=torch.channels_last)


def test_pixels_with_nan_gradient_stay_and_the_others_move():
    class Poison(torch.autograd.Function):
        @staticmethod
        def forward(ctx, pixels):
            return pixels.clone()

        @staticmethod
        def backward(ctx, gradient):
            poisoned = gradient.clone()
            poisoned[:, :, 0] = float("nan")
            poisoned[:, :, 1] = float("inf")
            return poisoned

    inner = smooth_model()
    images, labels, _ = batch()
    clean = images.float() / 255
    lower, upper = pixel_bounds(clean, everywhere(images), EPS)
    moved = pgd_steps(
        lambda pixels: inner(Poison.apply(pixels)),
        clean,
        labels,
        lower,
        upper,
        alpha=ALPHA,
        steps=2,
    )
    assert torch.equal(moved[:, :, 0], clean[:, :, 0])
    torch.testing.assert_close(moved[:, :, 1], (clean[:, :, 1] + 2 * ALPHA).clamp(max=1))
    assert (moved[:, :, 2:] != clean[:, :, 2:]).float().mean() > 0.5


def test_half_precision_model_gives_float32_logits():
    inner = smooth_model()
    images, labels, background = batch()
    options = {"background": background, "eps": EPS, "alpha": ALPHA, "steps": 2, "start": images}
    attack = pgd(lambda pixels: inner(pixels).to(torch.bfloat16), images, labels, **options)
    assert attack.logits.dtype == torch.float32
    assert (attack.images != pgd(inner, images, labels, **options).images).float().mean() < 0.05


def test_gradient_of_a_picture_does_not_shrink_with_the_batch():
    model = smooth_model()
    images, labels, _ = batch()
    pixels = images.float() / 255
    whole = input_gradient(model, pixels, labels)
    alone = input_gradient(model, pixels[2:3], labels[2:3])
    torch.testing.assert_close(whole[2:3], alone)


def test_bounds_fold_ball_mask_and_box():
    pixels = torch.tensor([0.0, 0.5, 1.0, 0.5]).view(1, 1, 2, 2)
    background = torch.tensor([[[True, True], [True, False]]])
    lower, upper = pixel_bounds(pixels, background, 0.25)
    assert lower.flatten().tolist() == [0.0, 0.25, 0.75, 0.5]
    assert upper.flatten().tolist() == [0.25, 0.75, 1.0, 0.5]


def test_rounding_a_radius_between_two_levels_rounds_inwards():
    clean = torch.full((1, 3, 2, 2), 100, dtype=torch.uint8)
    background = torch.ones(1, 2, 2, dtype=torch.bool)
    eps = 2.9 / 255
    rounded = round_to_levels(clean / 255 + eps, clean, background, eps)
    assert rounded.unique().tolist() == [102]
