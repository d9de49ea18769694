from __future__ import annotations

from ectool.stages.common.reporters import Once, Quiet


def test_what_is_up_to_date_is_not_said_and_the_rest_is(listener):
    quiet = Quiet(listener)
    quiet.note("a: up to date")
    quiet.note("look here")
    with quiet.task("train", 3) as advance:
        advance(1)
    assert (listener.notes, listener.tasks) == (["look here"], [("train", 3)])


def test_a_note_is_passed_on_once_and_every_task(listener):
    once = Once(listener)
    for _ in range(2):
        once.note("without masks")
        with once.task("evaluate", 3) as advance:
            advance(1)
    once.note("without boxes")
    assert listener.notes == ["without masks", "without boxes"]
    assert listener.tasks == [("evaluate", 3)] * 2
