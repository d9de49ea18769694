"""Times of tasks: an item without the first batch, and what does not grow with items."""

from __future__ import annotations

import pytest

from ectool.stages.dry_run.stopwatch import Stopwatch


@pytest.fixture
def times():
    """Return a clock that shows these times one after the other."""
    return iter([0.0, 1.0, 11.0, 13.0, 15.0, 15.5, 20.0]).__next__


def test_the_first_batch_does_not_count(times):
    watch = Stopwatch(times)
    with watch.task("perturb", 24) as advance:
        for _ in range(3):
            advance(8)
    (task,) = watch.tasks
    assert (task.name, task.total, task.start, task.end) == ("perturb", 24, 1, 15.5)
    assert task.per_item == pytest.approx(4 / 16)
    assert watch.rest() == pytest.approx(20 - 24 * 4 / 16)


def test_a_single_batch_counts_from_the_begin_of_the_task(times):
    watch = Stopwatch(times)
    with watch.task("score", 5) as advance:
        advance(5)
    assert watch.tasks[0].per_item == pytest.approx(10 / 5)


def test_the_second_epoch_counts_and_the_time_between_both():
    now = iter([0.0, 0.0, 9.0, 10.0, 14.0, 16.0, 17.0]).__next__
    watch = Stopwatch(now)
    with watch.task("train", 8) as advance:
        for _ in range(4):
            advance(2)
    per_item, between = watch.tasks[0].of_last(4)
    assert per_item == pytest.approx(2 / 2)
    assert between == pytest.approx(14 - 10 - 2 * 1)
