from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from ectool.training.batch import Position
from ectool.training.objectives import Setup
from ectool.training.objectives.group_dro import GroupDRO
from tests.slow_losses import slow_losses

GROUPS = torch.tensor([0, 0, 3, 1, 1, 0, 3, 1, 0, 0])
"""Five, three, none and two of ten samples."""
PLACE = Position(0, 0, 0.0, torch.Generator())


@pytest.fixture
def objective(classifier):
    settings, labels = {"step_size": 0.5}, torch.arange(10) % 3
    return GroupDRO(Setup(settings, classifier, labels, GROUPS, (3, 16, 16)))


def slow(q, batch, logits):
    """Return q and the loss after a step, group by group and sample by sample."""
    losses = slow_losses(logits, batch.labels)
    means = {}
    for group in q:
        size = GROUPS.tolist().count(group)
        means[group] = sum(
            weight * loss * 10 / (size * len(losses))
            for weight, loss, row in zip(
                batch.weights.tolist(), losses, batch.rows.tolist(), strict=True
            )
            if GROUPS[row] == group
        )
    q = {group: value * math.exp(0.5 * means[group]) for group, value in q.items()}
    q = {group: value / sum(q.values()) for group, value in q.items()}
    return q, sum(q[group] * means[group] for group in q)


@pytest.mark.parametrize("labels", ["batch", "multilabel"])
def test_steps_are_those_of_the_algorithm(labels, objective, classifier, request):
    batch, q = request.getfixturevalue(labels), {0: 1 / 3, 1: 1 / 3, 3: 1 / 3}
    for _ in range(3):
        loss, logits = objective(classifier.eval(), batch, PLACE)
        q, expected = slow(q, batch, logits)
        assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert objective.q.tolist() == pytest.approx([q[0], q[1], 0, q[3]], rel=1e-5)


def test_in_a_batch_of_all_samples_it_is_the_loss_of_the_authors(objective, classifier, batch):
    """Mean loss of the members of each group, as in their batches balanced by groups."""
    rows = torch.arange(10)
    whole = replace(
        batch,
        pixels=batch.pixels[rows % 6],
        labels=rows % 3,
        weights=torch.ones(10),
        rows=rows,
    )
    loss, logits = objective(classifier.eval(), whole, PLACE)
    losses = torch.tensor(slow_losses(logits, whole.labels))
    means = torch.stack([losses[group == GROUPS].mean() for group in (0, 1, 3)])
    q = torch.softmax(0.5 * means, 0)
    assert loss.item() == pytest.approx((q * means).sum().item(), rel=1e-5)


def test_the_state_is_q_alone(objective, classifier, batch, make):
    objective(classifier, batch, PLACE)
    state = objective.state_dict()
    assert set(state) == {"q"}
    assert state["q"].sum().item() == pytest.approx(1)
    assert not state["q"].requires_grad


def test_groups_are_needed(classifier):
    with pytest.raises(ValueError, match="group-dro needs groups"):
        GroupDRO(Setup({"step_size": 0.5}, classifier, GROUPS, None, (3, 16, 16)))
