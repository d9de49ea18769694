from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from ectool.training.batch import TrainingBatch
from ectool.training.loop import accuracy, make_optimizer, predict
from ectool.training.losses import weighted_loss
from tests.plain_training import plain_epoch

SIDE, CLASSES = 2, 3


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, CLASSES))


@pytest.fixture
def batches():
    """Return two batches of unequal size."""
    draw = torch.Generator().manual_seed(1)
    return [
        TrainingBatch(
            pixels=torch.rand(n, 3, SIDE, SIDE, generator=draw),
            labels=torch.randint(0, CLASSES, (n,), generator=draw),
            weights=torch.rand(n, generator=draw) * 2,
            rows=torch.arange(n),
        )
        for n in (5, 2)
    ]


def slow_loss(logits, labels, weights):
    total = 0.0
    for row, label, weight in zip(logits.tolist(), labels.tolist(), weights.tolist(), strict=True):
        total += weight * (math.log(sum(math.exp(x) for x in row)) - row[label])
    return total / len(labels)


def test_the_weighted_loss_is_its_definition(model, batches):
    for batch in batches:
        logits = model(batch.pixels)
        loss = weighted_loss(logits, batch.labels, batch.weights)
        assert loss.item() == pytest.approx(
            slow_loss(logits, batch.labels, batch.weights), rel=1e-5
        )


def test_weights_of_one_are_no_weights(model, batches):
    logits, labels = model(batches[0].pixels), batches[0].labels
    ones = weighted_loss(logits, labels, torch.ones(5))
    assert torch.equal(ones, nn.functional.cross_entropy(logits, labels))


def test_a_weight_of_zero_takes_a_sample_out_of_the_gradient(model, batches):
    batch = batches[0]
    pixels = batch.pixels.clone().requires_grad_()
    weights = batch.weights.clone()
    weights[3] = 0
    weighted_loss(model(pixels), batch.labels, weights).backward()
    assert pixels.grad[3].abs().max() == 0
    assert pixels.grad[2].abs().max() > 0


def test_an_epoch_takes_a_plain_step_per_batch(model, batches):
    expected = [parameter.detach().clone() for parameter in model.parameters()]
    losses, correct = 0.0, 0
    for rate, batch in zip((0.5, 0.25), batches, strict=True):
        twins = [parameter.clone().requires_grad_() for parameter in expected]
        logits = batch.pixels.flatten(1) @ twins[0].T + twins[1]
        loss = weighted_loss(logits, batch.labels, batch.weights)
        losses += loss.item() * len(batch.labels)
        correct += int((logits.argmax(1) == batch.labels).sum())
        steps = torch.autograd.grad(loss, twins)
        expected = [p.detach() - rate * g for p, g in zip(twins, steps, strict=True)]
    optimizer = torch.optim.SGD(model.parameters(), lr=9)
    result = plain_epoch(model, optimizer, batches, lambda step: 0.5 / (step + 1))
    for parameter, value in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value)
    assert result.loss == pytest.approx(losses / 7)
    assert result.accuracy == pytest.approx(correct / 7)


@pytest.mark.parametrize("convert", [list, lambda batches: multilabel(batches)])
def test_shares_give_every_sample_the_same_weight(model, batches, convert):
    """At a rate that moves nothing, the steps of unequal batches add up to one step of all."""
    parts = convert(batches)
    whole = {
        name: torch.cat([getattr(part, name) for part in parts])
        for name in ("pixels", "labels", "weights")
    }
    start = nn.utils.parameters_to_vector(model.parameters()).detach()
    loss = weighted_loss(model(whole["pixels"]), whole["labels"], whole["weights"])
    gradient = nn.utils.parameters_to_vector(torch.autograd.grad(loss, list(model.parameters())))
    shared = [replace(part, share=len(part.labels) * 2 / 7) for part in parts]
    optimizer = torch.optim.SGD(model.parameters(), lr=9)
    result = plain_epoch(model, optimizer, shared, lambda _: 1e-3)
    moved = nn.utils.parameters_to_vector(model.parameters()).detach() - start
    # Two steps, each down the mean over the epoch of its samples' gradients times two.
    torch.testing.assert_close(moved / -1e-3, 2 * gradient, rtol=2e-3, atol=1e-3)
    assert result.loss == pytest.approx(loss.item(), rel=1e-3)


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_optimizers_by_name(model, name, kind):
    optimizer = make_optimizer(model, name, lr=0.1, weight_decay=0.01)
    assert type(optimizer) is kind
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (0.1, 0.01)


def test_accuracy_counts_in_evaluation_mode(batches):
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(3 * SIDE**2, CLASSES))
    pairs = [(batch.pixels, batch.labels) for batch in batches]
    values = {accuracy(model.train(), pairs) for _ in range(5)}
    correct = sum(int((model(x).argmax(1) == y).sum()) for x, y in pairs)
    assert values == {correct / 7}
    assert not model.training


def multilabel(batches, seed=2):
    """Return the batches with multi-label targets, some of them ignored."""
    draw = torch.Generator().manual_seed(seed)
    return [
        replace(
            batch,
            labels=torch.randint(
                -1, 2, (len(batch.labels), CLASSES), generator=draw, dtype=torch.int8
            ),
        )
        for batch in batches
    ]


def test_multilabel_accuracy_counts_signs(model, batches):
    correct = counted = 0
    for batch in multilabel(batches):
        for logits, labels in zip(model(batch.pixels).tolist(), batch.labels.tolist(), strict=True):
            for logit, label in zip(logits, labels, strict=True):
                counted += label >= 0
                correct += label == int(logit > 0)
    optimizer = torch.optim.SGD(model.parameters(), lr=9)
    result = plain_epoch(model, optimizer, multilabel(batches), lambda _: 0.0)
    assert 0 < correct < counted < 21
    assert result.accuracy == pytest.approx(correct / counted)


def test_ignored_labels_only_give_no_loss_and_no_accuracy(model, batches):
    ignored = [
        replace(batch, labels=torch.full_like(batch.labels, -1)) for batch in multilabel(batches)
    ]
    before = [parameter.clone() for parameter in model.parameters()]
    result = plain_epoch(model, torch.optim.SGD(model.parameters(), lr=1), ignored, lambda _: 1.0)
    assert result.loss == 0
    assert math.isnan(result.accuracy)
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, value)


@pytest.mark.parametrize("convert", [list, multilabel])
def test_predictions_of_all_batches_in_evaluation_mode(batches, convert):
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(3 * SIDE**2, CLASSES))
    pairs = [(batch.pixels, batch.labels) for batch in convert(batches)]
    logits, labels = predict(model.train(), iter(pairs))
    assert not model.training
    np.testing.assert_array_equal(labels, torch.cat([labels for _, labels in pairs]))
    with torch.no_grad():
        expected = torch.cat([model(pixels) for pixels, _ in pairs])
    np.testing.assert_array_equal(logits, expected)


def test_the_callers_gradient_mode_holds_between_batches(model, batches):
    modes = []

    def pairs():
        for batch in batches:
            modes.append(torch.is_grad_enabled())
            yield batch.pixels.bfloat16(), batch.labels

    logits, _ = predict(model.bfloat16(), pairs())
    assert modes == [True, True]
    assert logits.dtype == np.float32
