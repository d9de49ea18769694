"""A slice of `python -m tests.faults`: every kind of fault around some commands, races."""

from __future__ import annotations

import random

import pytest

from tests.faults.machine.bench import Done, NotHereError
from tests.faults.machine.commands import benches
from tests.faults.machine.kinds import KINDS
from tests.faults.machine.races import race

pytestmark = pytest.mark.slow
COMMANDS = ("perturb to HDF5", "train", "report", "convert", "merge")


@pytest.fixture(scope="module")
def bench():
    with benches() as made:
        yield made


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("kind", KINDS)
def test_one_line_and_the_same_bytes_afterwards(bench, kind, name):
    try:
        assert KINDS[kind](bench, name, random.Random(f"{kind}/{name}")) == []
    except NotHereError:
        pytest.skip("this user, machine or command does not have the fault")


def test_races(bench):
    assert [line for number in range(50) for line in race(bench, random.Random(number))] == []


@pytest.mark.parametrize(
    ("code", "text", "fault"),
    [
        (1, "error: bug in ectool: x", "exit code 1"),
        (3, "Traceback (most recent call last):\nerror: x", "a traceback"),
        (3, "error: x\nerror: y", "2 lines of error"),
        (3, "", "0 lines of error"),
    ],
)
def test_the_check_finds_faults(code, text, fault):
    assert any(one.startswith(fault) for one in Done(code, text).faults())
