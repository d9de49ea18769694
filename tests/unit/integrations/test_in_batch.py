from __future__ import annotations

import numpy as np
import pytest
import torch
from foreign_training import BATCH, CLASSES, COUNT, MEAN, STD, batches, make_samples, same, trained
from foreign_training import network as make_network

import ectool
from ectool.config.objectives import OBJECTIVE_OPTIONS, REPLACING
from ectool.errors import InputError, UsageError
from ectool.integrations.in_batch import InBatch, Settings
from ectool.models.classifier import Classifier, ModelSpec
from ectool.models.layers.target_layer import find_target_layer
from ectool.stages.train.objective import seeded
from ectool.training.batch import Position, TrainingBatch, step_generator
from ectool.training.loop import train_epoch
from ectool.training.objectives import OBJECTIVES, Setup

EPOCHS = 2


def wrapped(model):
    return ectool.wrap(model, mean=MEAN, std=STD)


def in_batch(model, epochs=EPOCHS, **options):
    return InBatch(wrapped(model), epochs=epochs, **options)


def plainly(samples, epochs=EPOCHS):
    return trained(samples, epochs, lambda x, y, r: (x, torch.ones(len(x))), lambda epoch: None)


def with_ours(data, /, epochs=EPOCHS, given_rows=False, **options):
    model = make_network()
    ours = in_batch(model, epochs, **options)
    trained(
        data,
        epochs,
        lambda x, y, rows: ours(x, y, rows if given_rows else None),
        ours.begin,
        model,
    )
    return model, ours


def as_train(samples, epochs, settings, name, *, moves):
    """Train with the loop of `ectool train`, on the same batches in the same order."""
    network = make_network()
    layer = find_target_layer(network, (16, 16))
    classes = tuple(map(str, range(CLASSES)))
    spec = ModelSpec("x", classes, (16, 16), MEAN, STD, layer.name, layer.layout)
    model = Classifier(network, spec)
    labels = torch.stack([label for _, label in samples])
    with seeded(0, 0, torch.device("cpu")):
        objective = OBJECTIVES[name](Setup(settings, model, labels, None, (3, 16, 16), moves=moves))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    steps = -(-len(samples) // BATCH)
    for epoch in range(epochs):

        def position(step, epoch=epoch):
            return Position(
                epoch, step, (epoch + step / steps) / epochs, step_generator(0, epoch, step)
            )

        parts = [
            TrainingBatch(x * model.std + model.mean, y, torch.ones(len(y)), rows)
            for x, y, rows in batches(samples)
        ]
        objective.begin(model, optimizer, lambda parts=parts: parts, position(0))
        train_epoch(model, optimizer, parts, lambda step: 0.1, objective, position)
    return network


@pytest.mark.parametrize(
    ("name", "keeps"),
    [("ec", False), ("ec-cam", True), pytest.param("ec-weights", False, marks=pytest.mark.slow)],
)
def test_training_is_that_of_ectool_train(name, keeps):
    samples = make_samples()
    settings = {**OBJECTIVE_OPTIONS[name], "objective_start": 0.0, "mix": REPLACING[name]}
    theirs = as_train(samples, EPOCHS, settings, name, moves=not keeps)
    options = {"objective": name, "objective_start": 0.0, "steps": COUNT // BATCH}
    if keeps:
        options |= {"samples": COUNT, "moves": False}
    ours, _ = with_ours(samples, given_rows=keeps, **options)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert not same(ours, plainly(samples))


def test_without_perturbed_images_and_weights_training_is_plain_to_the_bit():
    samples = make_samples()
    before = torch.random.get_rng_state()
    ours, _ = with_ours(samples, mix=0, objective_start=0.0)
    assert same(ours, plainly(samples))
    assert torch.random.get_rng_state().equal(before)


def test_before_the_objective_begins_batches_are_unchanged():
    ours = in_batch(make_network(), epochs=5)
    assert ours.begins == 1
    images, labels, _ = next(batches(make_samples()))
    ours.begin(0)
    learned = ours(images, labels)
    assert learned.images is images
    assert learned.weights.tolist() == [1.0] * BATCH
    ours.begin(1)
    assert not ours(images, labels).images.equal(images)


def test_images_change_within_the_radius_and_stay_in_the_range():
    model, eps = make_network(), 24 / 255
    model.train()
    ours = in_batch(model, swap=0.0, objective_start=0.0)
    ours.begin(0)
    images, labels, _ = next(batches(make_samples()))
    learned = ours(images, labels)
    std = torch.tensor(STD).view(3, 1, 1)
    mean = torch.tensor(MEAN).view(3, 1, 1)
    change = ((learned.images - images) * std).abs()
    assert 0.5 * eps < change.max() < eps + 1e-5
    pixels = learned.images * std + mean
    assert -1e-6 < pixels.min() <= pixels.max() < 1 + 1e-6
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not model._forward_hooks


def test_weights_are_one_minus_consistency_of_the_batch():
    ours = in_batch(make_network(), objective="ec-weights", objective_start=0.0)
    ours.begin(0)
    images, labels, _ = next(batches(make_samples()))
    learned = ours(images, labels)
    assert learned.images.equal(images)
    assert len(set(learned.weights.tolist())) > 1
    np.testing.assert_allclose(learned.weights.mean(), 1, rtol=1e-4)
    e = ours.statistics()["explanation_consistency"]
    assert 0 < e < 1


def test_a_resumed_training_continues_in_the_same_way():
    samples, whole = make_samples(), {"objective_start": 0.0, "objective": "ec-cam", "moves": False}
    whole["samples"] = COUNT
    straight, _ = with_ours(samples, given_rows=True, **whole)
    model = make_network()
    first, second = (in_batch(model, **whole) for _ in range(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(EPOCHS):
        ours = first if epoch < 1 else second
        if epoch == 1:
            second.load_state_dict({k: v.clone() for k, v in first.state_dict().items()})
        ours.begin(epoch)
        for images, labels, rows in batches(samples):
            images, weights = ours(images, labels, rows)
            losses = torch.nn.functional.cross_entropy(model(images), labels, reduction="none")
            optimizer.zero_grad()
            (weights * losses).mean().backward()
            optimizer.step()
    assert same(straight, model)


def test_the_seed_decides():
    samples = make_samples()
    runs = [with_ours(samples, seed=seed, objective_start=0.0)[0] for seed in (0, 0, 1)]
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_multi_label_batches_have_a_row_of_labels():
    ours = in_batch(make_network(), objective_start=0.0)
    ours.begin(0)
    images, _, _ = next(batches(make_samples()))
    labels = torch.tensor([[1.0, 0, 1]] * 4 + [[0, 0, 1]] * 4)
    assert not ours(images, labels).images.equal(images)


def test_settings_are_those_of_train():
    assert set(Settings.__annotations__) == set(OBJECTIVE_OPTIONS["ec"])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"objective": "erm"}, "objective: expected one of ec, ec-weights"),
        ({"objective": "ec-rate"}, "objective: expected one of ec, ec-weights"),
        ({"weighting": "rate"}, "weighting: expected weights that do not depend on the loss"),
        ({"ep": 0.1}, "option ep: expected one of .*got 'ep'; use eps"),
        ({"eps": 2}, "eps.*got 2"),
        ({"epochs": 0}, "epochs: expected at least 1, got 0"),
        ({"mix": 1.5}, r"mix: expected a share in \[0, 1\], got 1.5"),
        ({"objective": "ec-cam"}, "samples: expected the number of samples, because each keeps"),
    ],
)
def test_wrong_options_are_one_line(options, match):
    with pytest.raises(UsageError, match=match) as error:
        in_batch(make_network(), **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda x, y: (x * 3, y), r"images: expected pixels in \[0, 1\] after mean and std"),
        (
            lambda x, y: (x[0], y),
            r"images: expected a batch of RGB images .*got shape \(3, 16, 16\)",
        ),
        (lambda x, y: (x, y + 1), r"labels: expected classes from 0 to 2, .*from 1 to 3"),
        (lambda x, y: (x, y[:3]), r"labels: expected classes .*got int64 of shape \(3,\)"),
        (lambda x, y: (x, y.float()), "labels: expected classes .*got float32"),
    ],
)
def test_wrong_batches_are_one_line(change, match):
    ours = in_batch(make_network(), objective_start=0.0)
    ours.begin(0)
    images, labels, _ = next(batches(make_samples()))
    images, labels = change(images, labels + (labels.max() < 2).long())
    with pytest.raises(InputError, match=match):
        ours(images, labels)


def test_a_batch_needs_an_epoch_and_with_samples_its_rows():
    images, labels, _ = next(batches(make_samples()))
    ours = in_batch(make_network(), samples=COUNT, objective_start=0.0)
    with pytest.raises(InputError, match=r"expected begin\(epoch\) before the first batch"):
        ours(images, labels)
    ours.begin(0)
    with pytest.raises(InputError, match=r"batch: expected the number of each sample"):
        ours(images, labels)
    with pytest.raises(InputError, match="rows: expected numbers of samples from 0 to 15, got 16"):
        ours(images, labels, torch.arange(COUNT, COUNT + BATCH))
