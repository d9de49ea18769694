from __future__ import annotations

import pytest
import torch

from ectool.training.batch import Position
from ectool.training.objectives.base import Objective


def test_an_objective_has_no_state_and_no_loss_by_default(classifier, batch):
    objective = Objective()
    place = Position(0, 0, 0.0, torch.Generator())
    optimizer = torch.optim.SGD(classifier.parameters())
    objective.begin(classifier, optimizer, lambda: [batch], place)
    objective.after(classifier, batch, place)
    assert not objective.state_dict()
    with pytest.raises(NotImplementedError):
        objective(classifier, batch, place)
