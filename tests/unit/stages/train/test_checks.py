from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from ectool.errors import UsageError
from ectool.models.registry import create
from ectool.stages.train.checks import Explosion, check_ranks
from ectool.training.loop import EpochResult
from ectool.training.ranks.ranks import ALONE, Ranks


@pytest.mark.parametrize(
    ("result", "warnings"),
    [
        (EpochResult(2.4, 0.1, 90.0), []),
        (EpochResult(10 * math.log(10) - 0.01, 0.1, 9e3), []),
        (EpochResult(24.0, 0.1, 90.0), ["the loss is 24, above 23"]),
        (EpochResult(2.0, 0.1, 1e12), ["logits reach 1e+12, beyond 10000"]),
        (EpochResult(1e9, 0.1, 1e12), ["the loss is 1e+09, above 23 and logits reach 1e+12"]),
    ],
)
def test_explosions_are_warned_of_once(result, warnings, listener):
    explosion = Explosion(10, is_multilabel=False, reporter=listener)
    for epoch in (2, 3):
        explosion.check(result, epoch)
    assert len(listener.warnings) == len(warnings)
    for note, part in zip(listener.warnings, warnings, strict=True):
        assert note.startswith(f"epoch 3: {part}")


def test_the_loss_of_labels_is_binary(listener):
    explosion = Explosion(1000, is_multilabel=True, reporter=listener)
    explosion.check(EpochResult(7.0, 0.5, 1.0), 0)
    assert "the loss is 7, above 6.93" in listener.warnings[0]


def test_ranks_need_running_statistics():
    model = create("smallcnn", ("a", "b"), seed=0, input_size=(16, 16))
    several = SimpleNamespace(ranks=Ranks(2, 0, object()))
    check_ranks(model, several)
    layer = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    layer.running_mean = layer.running_var = None
    check_ranks(model, SimpleNamespace(ranks=ALONE))
    with pytest.raises(UsageError, match=r"smallcnn in 2 processes: expected .*, got layer"):
        check_ranks(model, several)
