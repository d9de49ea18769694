"""Batch normalisation of parts against torch's over the joined batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ectool.training.ranks.part import Part
from ectool.training.ranks.statistics import WholeStatistics, batch_norm
from tests.gloo import on_ranks

SIZES = (4, 3, 2)


class Activated(nn.BatchNorm2d):
    """A layer with an activation of its own, as those of timm."""

    def forward(self, values):
        return F.silu(super().forward(values))


def layers():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), Activated(5, momentum=0.3), nn.Flatten()
    ).double()


def images():
    draw = torch.Generator().manual_seed(1)
    return 5 + torch.randn(sum(SIZES), 3, 6, 6, generator=draw, dtype=torch.float64)


def state(model, pixels, order):
    """Return outputs, a gradient of the pixels, gradients of the weights, and statistics.

    With order 2 the loss also has the gradient of the pixels, as objectives take it.
    """
    pixels = pixels.clone().requires_grad_()
    outputs = model(pixels)
    loss = outputs.square().sum() + (outputs[:, :4] ** 3).sum()
    (slope,) = torch.autograd.grad(loss, pixels, create_graph=order == 2, retain_graph=True)
    (loss + (slope.tanh() ** 2).sum() if order == 2 else loss).backward()
    gradients = [p.grad for p in model.parameters()]
    return outputs.detach(), slope.detach(), gradients, dict(model.named_buffers())


@pytest.fixture(scope="module", params=[1, 2])
def both(request):
    """Return the states of three ranks, and that of one process."""
    models = [layers() for _ in SIZES]

    def work(ranks):
        model, part = models[ranks.rank], Part(SIZES, ranks.rank, ranks.sums)
        with WholeStatistics(ranks.each):
            return state(model, part.own(images()), request.param)

    return on_ranks(3, work), state(layers(), images(), request.param)


@pytest.mark.parametrize("kind", [0, 1], ids=["outputs", "gradients of pixels"])
def test_rows_are_those_of_the_joined_batch(both, kind):
    found, expected = both
    joined = torch.cat([one[kind] for one in found])
    torch.testing.assert_close(joined, expected[kind], rtol=1e-9, atol=1e-9)


def test_gradients_of_weights_add_up_to_those_of_the_joined_batch(both):
    found, expected = both
    for number, gradient in enumerate(expected[2]):
        summed = sum(one[2][number] for one in found)
        torch.testing.assert_close(summed, gradient, rtol=1e-8, atol=1e-8)


def test_running_statistics_are_those_of_the_joined_batch_on_every_rank(both):
    found, expected = both
    for one in found:
        torch.testing.assert_close(one[3], expected[3])


def test_evaluation_uses_the_running_statistics():
    values = images()
    model = layers().eval()
    expected = model(values)

    def work(ranks):
        with WholeStatistics(ranks.each):
            return model(values)

    assert torch.equal(on_ranks(1, work)[0], expected)


def test_half_precision_has_exact_statistics():
    values = 300 + torch.randn(64, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    low = values.bfloat16()

    def work(ranks):
        part = Part((32, 32), ranks.rank, ranks.sums)
        return batch_norm(ranks.each, part.own(low), None, None, training=True)

    joined = torch.cat(on_ranks(2, work))
    assert joined.dtype == torch.bfloat16
    expected = F.batch_norm(low.float(), None, None, training=True)
    torch.testing.assert_close(joined.float(), expected, rtol=1e-2, atol=1e-2)
