from __future__ import annotations

from ectool.stages.watch import Once, Watch


def test_watching_counts_what_is_up_to_date_and_passes_on_the_rest(listener):
    watch = Watch(listener)
    watch.note("a: up to date")
    watch.note("look here")
    assert (watch.up_to_date, listener.notes, watch.computed) == (1, ["look here"], False)


def test_a_task_is_a_computation(listener):
    watch = Watch(listener)
    with watch.task("train", 3) as advance:
        advance(1)
    assert (listener.tasks, watch.computed) == ([("train", 3)], True)


def test_a_note_is_passed_on_once_and_every_task(listener):
    once = Once(listener)
    for _ in range(2):
        once.note("without masks")
        with once.task("evaluate", 3) as advance:
            advance(1)
    once.note("without boxes")
    assert listener.notes == ["without masks", "without boxes"]
    assert listener.tasks == [("evaluate", 3)] * 2
