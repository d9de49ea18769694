"""Progress off a terminal: one line when a step begins, and one every ten seconds."""

from __future__ import annotations

import re
import time

import pytest

from ectool.cli.console import ConsoleReporter
from ectool.cli.lines import INTERVAL, Lines
from ectool.options import duration


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_one_line_in_ten_seconds_with_rate_and_time_left(clock):
    written = []
    with Lines(written.append, clock).task("part 3 of 19: PGD 2/255", 1000) as advance:
        for _ in range(250):
            clock.now += 0.25
            advance(2)
    assert written[:2] == [
        "part 3 of 19: PGD 2/255: 80 of 1000, 8/s, 1 min 55 s left",
        "part 3 of 19: PGD 2/255: 160 of 1000, 8/s, 1 min 45 s left",
    ]
    assert len(written) == 62.5 // INTERVAL


def test_a_step_that_lasts_is_told_once_before_its_first_item(clock):
    written = []
    lines = Lines(written.append, clock, patience=0.01)
    with lines.task("run", 2):
        time.sleep(0.2)
        with lines.task("train", 100):
            time.sleep(0.2)
    assert written == ["run: 2 to do", "train: 100 to do"]


def test_steps_share_the_interval_and_short_ones_print_nothing(clock):
    written = []
    lines = Lines(written.append, clock)
    with lines.task("run", 4) as outer:
        for number in range(4):
            with lines.task(f"train {number}", 40) as inner:
                for _ in range(40):
                    clock.now += 0.125
                    inner(1)
            outer(1)
    assert written == ["run: 2 of 4, 0.2/s, 10 s left"]


def test_a_long_step_without_an_item_has_no_rate(clock):
    written = []
    with Lines(written.append, clock).task("x", 4) as advance:
        for done in (0, 1):
            clock.now += 2 * INTERVAL
            advance(done)
    assert written == ["x: 0 of 4, 0/s, unknown time left", "x: 1 of 4, 0.025/s, 2 min 00 s left"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3599.7, "1 h 00 min"),
        (90061, "25 h 01 min"),
    ],
)
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("quiet", [False, True])
def test_off_a_terminal_there_are_no_control_characters(quiet, capsys):
    reporter = ConsoleReporter(quiet=quiet)
    reporter.lines.patience = 0.01
    with reporter.task("run", 2) as outer, reporter.task("train", 64) as inner:
        time.sleep(0.2)
        inner(64)
        outer(1)
        reporter.note("run/0/model: epoch 1 of 2: loss 0.5")
        reporter.warn("run/0/model: something")
    text = capsys.readouterr().err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    *lines, warning = text.splitlines()
    assert warning == "warning: run/0/model: something"
    steps = {"run: 2 to do", "train: 64 to do"}  # both timers end at the same moment
    assert (set(lines[:2]), lines[2:]) == (
        (set(), []) if quiet else (steps, ["run/0/model: epoch 1 of 2: loss 0.5"])
    )
