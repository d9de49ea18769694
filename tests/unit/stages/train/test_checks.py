from __future__ import annotations

import math

import pytest

from ectool.stages.train.checks import Explosion
from ectool.training.loop import EpochResult


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
