"""What a training tells of each epoch: loss, accuracies, speed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ectool.types import Advance

if TYPE_CHECKING:  # they import torch
    from ectool.stages.train.feed import Feed
    from ectool.training.batch import TrainingBatch


class Watch:
    """Measures an epoch from its start.

    Args:
        feed: Gives the batches, and counts the seconds that the model waits for them.
    """

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.start, self.waited = time.perf_counter(), feed.waited

    def speed(self) -> str:
        """Return images per second, and the share of the time that the model waited for data."""
        seconds = time.perf_counter() - self.start
        rate, share = self.feed.samples / seconds, (self.feed.waited - self.waited) / seconds
        return f"{rate:.0f} images/s, waiting for data {share:.1%}"


def counted(batches: Iterable[TrainingBatch], advance: Advance) -> Iterator[TrainingBatch]:
    """Yield batches, and advance the progress by the images of each one that is done."""
    for batch in batches:
        yield batch
        advance(batch.part.count(len(batch.labels)))


def described(point: Mapping[str, float], epochs: int, speed: str) -> str:
    """Return an epoch as one line: loss, accuracies of training and validation, speed.

    Args:
        point: The point of the learning curves; shares in [0, 1].
        epochs: Length of the whole schedule.
        speed: Text that ends the line.
    """
    shares = [
        f"{name.replace('_', ' ')} {100 * value:.1f} %"
        for name, value in point.items()
        if name == "accuracy" or name.startswith("validation")
    ]
    numbers = [f"loss {point['loss']:.4g}", *shares, speed]
    return f"epoch {int(point['epoch'])} of {epochs}: {', '.join(numbers)}"
