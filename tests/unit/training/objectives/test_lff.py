from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from ectool.training.batch import Position

Q = 0.7


def place():
    return Position(0, 0, 0.0, torch.Generator())


class Slowly:
    """Moving averages, class maxima and difficulties, one sample after the other."""

    def __init__(self, labels):
        self.labels = labels
        self.averages = [{}, {}]

    def difficulty(self, rows, losses):
        found = []
        for averages, values in zip(self.averages, losses, strict=True):
            for row, value in zip(rows, values, strict=True):
                averages[row] = 0.7 * averages[row] + 0.3 * value if row in averages else value
        for row in rows:
            same = [other for other, label in enumerate(self.labels) if label == self.labels[row]]
            biased, model = (
                averages[row] / max(averages.get(other, 0.0) for other in same)
                for averages in self.averages
            )
            found.append(biased / (biased + model))
        return found


def test_the_loss_is_its_definition(classifier, make, batch):
    objective = make("lff", strength=Q)
    biased = objective.network
    with torch.no_grad():
        biased.network.head.weight.mul_(3)  # otherwise both networks are equal
    slow = Slowly(objective.labels.tolist())
    for each in (batch, replace(batch, pixels=batch.pixels.flip(3)), batch):
        outputs = [copy.deepcopy(model)(each.pixels) for model in (biased, classifier.train())]
        losses = [F.cross_entropy(logits, each.labels, reduction="none") for logits in outputs]
        rows = each.rows.tolist()
        weights = slow.difficulty(rows, [values.tolist() for values in losses])
        total = 0.0
        for i, label in enumerate(each.labels.tolist()):
            p = outputs[0][i].softmax(0)[label].item()
            total += each.weights[i].item() * (1 - p**Q) / Q
            total += each.weights[i].item() * weights[i] * losses[1][i].item()
        found = objective(classifier, each, place())
        assert found.loss.item() == pytest.approx(total / 6, rel=1e-4)
        assert (found.logits == outputs[1]).all()


def test_both_networks_learn_and_weights_have_no_gradient(classifier, make, batch):
    objective = make("lff", strength=Q)
    objective(classifier.train(), batch, place()).loss.backward()
    ours, other = (m.network.head.weight.grad for m in (classifier, objective.network))
    assert ours.abs().sum() > 0
    assert other.abs().sum() > 0
    # At the start the relative difficulty is 1/2, for both networks are equal.
    model = copy.deepcopy(classifier)
    model.zero_grad()
    losses = F.cross_entropy(model(batch.pixels), batch.labels, reduction="none")
    (0.5 * batch.weights * losses).mean().backward()
    torch.testing.assert_close(ours, model.network.head.weight.grad)


def test_the_second_network_is_state(make):
    state = make("lff", strength=Q).state_dict()
    assert "network.network.head.weight" in state
    assert "labels" not in state
