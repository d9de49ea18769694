"""The line of an epoch, and the progress of its batches."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ectool.config import TrainConfig
from ectool.stages import train
from ectool.stages.train.watch import counted, described
from ectool.training.ranks.part import WHOLE, Part


@dataclass
class Batch:
    labels: list[int]
    part: Part = WHOLE


def test_an_epoch_is_one_line_with_loss_and_accuracies():
    point = {
        **{"epoch": 3, "loss": 0.41234, "accuracy": 0.865, "validation_original": 0.8013},
        **{"validation_map_only_fg": 0.5, "reweighted": 0.3},
    }
    assert described(point, 30, "510 images/s") == (
        "epoch 3 of 30: loss 0.4123, accuracy 86.5 %, validation original 80.1 %, "
        "validation map only fg 50.0 %, 510 images/s"
    )


def test_a_batch_counts_when_the_next_one_is_taken():
    done = []
    for number, batch in enumerate(counted([Batch([0, 1]), Batch([2])], done.append)):
        assert sum(done) == 2 * number
        assert len(batch.labels) == 2 - number
    assert done == [2, 1]


def test_training_tells_each_epoch_and_advances_by_images(few_options, tmp_path, listener):
    given = {name: value for name, value in few_options.items() if name != "split"}
    config = TrainConfig(epochs=2, batch_size=8, output=tmp_path / "m", **given)
    train.run(config, listener)
    first, second = (text for text in listener.notes if "epoch" in text)
    assert re.match(rf"{tmp_path}/m: epoch 1 of 2: loss \d\S+, accuracy \S+ %, ", first)
    assert re.match(rf"{tmp_path}/m: epoch 2 of 2: ", second)
    (total,) = [total for name, total in listener.tasks if name == "train"]
    assert listener.done == total
