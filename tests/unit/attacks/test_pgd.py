"""PGD under a mask: its definition pixel by pixel, its results, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ectool.attacks.ball import BALLS, LinfBall
from ectool.attacks.losses import LOSSES
from ectool.attacks.objectives import LabelLoss, value_and_gradient
from ectool.attacks.perturbation import Perturbed, perturb
from ectool.attacks.pgd import CHECK_EVERY, Settings, pgd

EPS, ALPHA = 8 / 255, 2 / 255


def attack(model, images, labels, background, *, start, steps=2, norm="linf", eps=EPS, **given):
    """Run PGD on whole images and round."""
    loss = LOSSES["ce" if labels.ndim == 1 else "bce"]
    alpha, evaluation_model = given.pop("alpha", ALPHA), given.pop("evaluation_model", model)
    ball = BALLS[norm].around(images.float() / 255, background, eps)
    objective = LabelLoss(model, loss, labels, **given)
    return perturb(
        pgd, ball, objective, [start], Settings(steps, alpha), evaluation_model=evaluation_model
    )


def slow_pgd(model, clean, label, background, start, steps):
    """The definition for one image, pixel by pixel."""
    current = start.clone()
    for step in range(-1, steps):
        gradient = torch.zeros_like(current)
        if step >= 0:
            leaf = current.clone().requires_grad_()
            loss = -torch.log_softmax(model(leaf[None]), dim=1)[0, label]
            gradient = torch.autograd.grad(loss, leaf)[0]
        for c, y, x in np.ndindex(*current.shape):
            slope, here = float(gradient[c, y, x]), float(clean[c, y, x])
            value = float(current[c, y, x]) + ALPHA * ((slope > 0) - (slope < 0))
            reach = EPS if background[y, x] else 0.0
            value = min(max(value, here - reach), here + reach)
            current[c, y, x] = min(max(value, 0.0), 1.0)
    return current


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_masked_steps_equal_the_definition_pixel_by_pixel(steps, precise, batch):
    images, labels, background = batch(n=2, size=5)
    clean = images.double() / 255
    draw = torch.Generator().manual_seed(0)
    start = clean + torch.rand(clean.shape, generator=draw).double().sub(0.5).mul(4 * EPS)
    ball = LinfBall.around(clean, background, EPS)
    objective = LabelLoss(precise, LOSSES["ce"], labels)
    moved = pgd(ball, objective, start, Settings(steps, ALPHA))
    for i in range(2):
        expected = slow_pgd(precise, clean[i], int(labels[i]), background[i], start[i], steps)
        torch.testing.assert_close(moved[i], expected, rtol=0, atol=1e-12)


def test_perturbation_reaches_the_last_level_of_the_ball(model, batch):
    images, labels, background = batch()
    start = images / 255
    found = attack(
        model, images, labels, background, eps=3 / 255, alpha=1.0, steps=1, start=start
    ).images
    levels = found.int() - images.int()
    free = background.unsqueeze(1) & (images >= 3) & (images <= 252)
    assert (levels[free].abs() == 3).all()
    assert not levels[~background.unsqueeze(1).expand_as(levels)].any()


@pytest.mark.parametrize(("norm", "eps", "alpha"), [("linf", EPS, ALPHA), ("l2", 0.4, 0.2)])
def test_the_loss_rises_and_falls_towards_targets(norm, eps, alpha, model, batch):
    images, labels, background = batch(n=16)
    cross_entropy = nn.CrossEntropyLoss(reduction="none")
    options = {"norm": norm, "eps": eps, "alpha": alpha, "steps": 5, "start": images / 255}
    up = attack(model, images, labels, background, **options)
    down = attack(model, images, labels, background, targets=labels, **options)
    before = cross_entropy(model(images / 255), labels)
    assert (cross_entropy(up.logits, labels) > before).all()
    assert (cross_entropy(down.logits, labels) < before).all()


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("steps", [CHECK_EVERY, 2 * CHECK_EVERY + 1])
def test_successes_after_a_leg_are_results_and_leave(norm, steps, torn):
    model, ball, labels = torn
    ball = BALLS[norm].around(ball.clean, ball.weight, ball.eps if norm == "linf" else 0.15)
    seen = []

    def watched(pixels):
        seen.append(pixels.detach().clone())
        return model(pixels)

    plain, stopping = (
        LabelLoss(watched, LOSSES["ce"], labels, stop_when_misclassified=stops)
        for stops in (False, True)
    )
    settings = Settings(steps, ball.eps / 7)
    last = pgd(ball, plain, ball.clean, settings)
    on_the_way = [*seen, last]
    seen.clear()
    found = pgd(ball, stopping, ball.clean, settings)
    passes, ends = 0, []
    for row in range(len(labels)):
        legs = range(CHECK_EVERY, steps, CHECK_EVERY)
        reached = [end for end in legs if plain.is_misclassified(model(on_the_way[end]))[row]]
        ends.append(min(reached, default=steps))
        passes += min(ends[-1] + 1, steps)
        torch.testing.assert_close(found[row], on_the_way[ends[-1]][row], rtol=0, atol=1e-6)
    assert set(ends) == {*legs, steps}
    assert sum(map(len, seen)) == passes


def test_logits_are_those_of_the_evaluation_model_for_rounded_images(model, batch):
    images, labels, background = batch()

    def fast(pixels: Tensor) -> Tensor:
        return model(pixels).to(torch.bfloat16)

    options = {"background": background, "start": images / 255}
    found = attack(fast, images, labels, evaluation_model=model, **options)
    expected = model(found.images.float() / 255)
    torch.testing.assert_close(found.logits, expected, rtol=0, atol=0)
    own = attack(fast, images, labels, **options)
    assert own.logits.dtype == torch.float32
    assert torch.equal(own.images, found.images)
    plain = attack(model, images, labels, **options)
    assert (plain.images != found.images).float().mean() < 0.05


def attack_in_parts(model, batch, norm: str, size: int, order: list[int]) -> Perturbed:
    images, labels, background = batch(n=24)
    draw = torch.Generator().manual_seed(1)
    start = images / 255 + torch.rand(images.shape, generator=draw).sub(0.5).mul(2 * EPS)
    parts = [order[i : i + size] for i in range(0, len(order), size)]
    eps = EPS if norm == "linf" else 0.4
    found = [
        attack(
            model,
            *(values[part] for values in (images, labels, background)),
            norm=norm,
            eps=eps,
            alpha=eps / 4,
            start=start[part],
        )
        for part in parts
    ]
    back = torch.tensor(order).argsort()
    images, logits = (torch.cat([getattr(f, n) for f in found]) for n in ("images", "logits"))
    return Perturbed(images[back], logits[back])


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize(("size", "step"), [(1, 1), (7, -1)])
def test_batch_size_and_order_do_not_matter(norm, size, step, model, batch):
    whole = attack_in_parts(model, batch, norm, 24, list(range(24)))
    parts = attack_in_parts(model, batch, norm, size, list(range(24))[::step])
    assert (whole.images != parts.images).float().mean() < 0.005
    torch.testing.assert_close(whole.logits, parts.logits, rtol=0, atol=1e-3)


def test_model_and_inputs_are_left_as_found(batch, model):
    import copy

    model = copy.deepcopy(model)
    model[4].weight.requires_grad_(True)
    model[4].weight.grad = torch.ones_like(model[4].weight)
    before = [(p.clone(), p.requires_grad, p.grad) for p in model.parameters()]
    images, labels, background = batch()
    start = images.float() / 255 + 0.5
    copies = images.clone(), start.clone()
    with torch.no_grad():
        found = attack(model, images, labels, background, start=start)
    for parameter, (value, requires_grad, grad) in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, value)
        assert parameter.requires_grad is requires_grad
        assert parameter.grad is grad
    assert torch.equal(model[4].weight.grad, torch.ones_like(model[4].weight))
    assert torch.equal(images, copies[0])
    assert torch.equal(start, copies[1])
    assert not torch.equal(found.images, images)
    assert not found.logits.requires_grad


@pytest.mark.parametrize("norm", BALLS)
@pytest.mark.parametrize("start_format", [torch.contiguous_format, torch.channels_last])
def test_memory_format_of_the_images_reaches_the_model(norm, start_format, model, batch):
    formats = []

    def watched(pixels: Tensor) -> Tensor:
        formats.append(pixels.is_contiguous(memory_format=torch.channels_last))
        return model(pixels)

    images, labels, background = batch()
    found = attack(
        watched,
        images.to(memory_format=torch.channels_last),
        labels,
        background,
        norm=norm,
        steps=3,
        start=(images / 255).contiguous(memory_format=start_format),
    )
    assert formats == [True] * 4
    assert found.images.is_contiguous(memory_format=torch.channels_last)


def test_pixels_with_nan_gradient_stay_and_the_others_move(model, batch):
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

    images, labels, _ = batch()
    clean = images.float() / 255
    ball = LinfBall.around(clean, torch.ones_like(clean[:, 0], dtype=torch.bool), EPS)
    objective = LabelLoss(lambda pixels: model(Poison.apply(pixels)), LOSSES["ce"], labels)
    moved = pgd(ball, objective, clean, Settings(2, ALPHA))
    assert torch.equal(moved[:, :, 0], clean[:, :, 0])
    torch.testing.assert_close(moved[:, :, 1], (clean[:, :, 1] + 2 * ALPHA).clamp(max=1))
    assert (moved[:, :, 2:] != clean[:, :, 2:]).float().mean() > 0.5


def several_labels(n: int = 8) -> Tensor:
    """Labels of which the last image has none that counts."""
    labels = torch.randint(-1, 2, (n, 5), generator=torch.Generator().manual_seed(0))
    labels[:, 0], labels[-1] = 1, -1
    return labels.to(torch.int8)


def test_the_gradient_is_that_of_each_samples_own_loss(model, batch):
    pixels, labels = batch(n=8)[0] / 255, several_labels()
    _, found = value_and_gradient(LabelLoss(model, LOSSES["bce"], labels), pixels)
    for row, image in enumerate(pixels):
        leaf = image[None].requires_grad_()
        losses = []
        for logit, label in zip(model(leaf)[0], labels[row].tolist(), strict=True):
            if label >= 0:
                losses.append(-nn.functional.logsigmoid(logit if label else -logit))
        if losses:
            (expected,) = torch.autograd.grad(sum(losses) / len(losses), leaf)
            torch.testing.assert_close(found[row], expected[0])
    assert not found[-1].any()


def test_one_labels_gradient_is_that_of_summed_cross_entropy_bit_for_bit(model, batch):
    images, labels, _ = batch(n=8)
    leaf = (images / 255).requires_grad_()
    loss = nn.functional.cross_entropy(model(leaf), labels, reduction="sum")
    (expected,) = torch.autograd.grad(loss, leaf)
    _, found = value_and_gradient(LabelLoss(model, LOSSES["ce"], labels), images / 255)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("norm", BALLS)
def test_an_image_without_a_counting_label_stays(norm, model, batch):
    images, _, background = batch(n=8)
    start = images / 255
    found = attack(model, images, several_labels(), background, norm=norm, start=start).images
    assert torch.equal(found[-1], images[-1])
    assert not torch.equal(found[:-1], images[:-1])
