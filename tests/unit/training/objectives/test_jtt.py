from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

from ectool.errors import UsageError
from ectool.training.batch import Position, TrainingBatch

SETTINGS = {"objective_start": 0.2, "strength": 5.0}


def place(progress=0.0):
    return Position(3, 0, progress, torch.Generator())


def images(seed, rows):
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.rand(len(rows), 3, 16, 16, generator=draw)
    return TrainingBatch(pixels, rows % 3, torch.ones(len(rows)), rows)


@pytest.fixture
def batches():
    return [images(0, torch.arange(6)), images(1, torch.arange(6, 10))]


def train(model, optimizer, batch):
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(batch.pixels), batch.labels).backward()
        optimizer.step()


def test_it_starts_again_with_weights_for_the_error_set(classifier, make, batches):
    objective, first = make("jtt", **SETTINGS), copy.deepcopy(classifier.state_dict())
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.1, momentum=0.9)
    train(classifier.train(), optimizer, batches[0])
    trained = copy.deepcopy(classifier).eval()
    objective.begin(classifier, optimizer, lambda: batches, place())
    wrong = [
        int(trained(image[None])[0].argmax()) != label
        for batch in batches
        for image, label in zip(batch.pixels, batch.labels.tolist(), strict=True)
    ]
    assert 0 < sum(wrong) < 10
    factors = torch.tensor([5.0 if each else 1.0 for each in wrong])
    torch.testing.assert_close(objective.factors, factors / factors.mean())
    assert all((value == first[name]).all() for name, value in classifier.state_dict().items())
    assert not optimizer.state
    assert classifier.training


def test_the_loss_has_the_weights_of_the_error_set(classifier, make, batch):
    objective = make("jtt", **SETTINGS)
    objective.factors[:] = torch.arange(10.0)
    loss, logits = objective(classifier.train(), batch, place())
    losses = F.cross_entropy(logits, batch.labels, reduction="none")
    torch.testing.assert_close(loss, (batch.weights * batch.rows * losses).mean())


def test_the_error_set_is_found_once(classifier, make, batches):
    objective = make("jtt", **SETTINGS)
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.1, momentum=0.9)
    objective.begin(classifier, optimizer, lambda: batches, place())
    again = make("jtt", **SETTINGS)
    again.load_state_dict(copy.deepcopy(objective.state_dict()))
    train(classifier.train(), optimizer, batches[0])
    state = copy.deepcopy(classifier.state_dict())
    again.begin(classifier, optimizer, lambda: batches, place(0.1))
    assert all((value == state[name]).all() for name, value in classifier.state_dict().items())
    assert (again.factors == objective.factors).all()
    assert optimizer.state


def test_an_identification_model_without_training_is_refused(make):
    with pytest.raises(UsageError, match="--objective-start: expected a share of the epochs above"):
        make("jtt", objective_start=0.0, strength=5.0)
