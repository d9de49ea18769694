"""Code of a model that misbehaves is no success and no bug: one line names it, with exit code 3."""

from __future__ import annotations

import pytest

NETWORK = """
import os, signal, subprocess, sys
from torch import nn

class Other(BaseException):
    pass

def again():
    return again()

def misbehave():
    {line}

class Net(nn.Sequential):
    def __init__(self, num_classes=2):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.append(nn.Linear(4, num_classes))
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        if self.calls == {calls}:
            misbehave()
        return super().forward(images)

if {calls} == 0:
    misbehave()
"""
AT_IMPORT, IN_TRAINING = 0, 9
PRINTS = (
    "print('data'); print('data', file=sys.__stdout__, flush=True); os.write(1, b'data')",
    "subprocess.run(['echo', 'data'])",
)
ENDS = {
    "sys.exit(0)": "SystemExit: 0",
    "os._exit(0)": "a process that was ended (exit code 0)",
    "os.kill(os.getpid(), signal.SIGKILL)": "a process that was ended (SIGKILL)",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "raise Other('x')": "Other: x",
    "raise OSError('x')": "OSError: x",
    "again()": "RecursionError: maximum recursion depth exceeded",
}
QUICK = [(AT_IMPORT, "os._exit(0)"), (IN_TRAINING, "sys.exit(0)")]


@pytest.fixture
def train(run, images, tmp_path, monkeypatch):
    """Return a function that trains a network whose code runs a line at one of its calls."""
    monkeypatch.chdir(tmp_path)

    def call(line, calls):
        (tmp_path / "bad_net.py").write_text(NETWORK.format(line=line, calls=calls))
        data = ("--data", f"imagefolder:{images}", "--size", 16, "--device", "cpu")
        given = ("--epochs", 3, "--batch-size", 16, "--output", "m")
        return run("train", "--model", "import:bad_net:Net", *data, *given)

    return call


def cases():
    for calls in (AT_IMPORT, IN_TRAINING):
        for line in ENDS:
            marks = () if (calls, line) in QUICK else pytest.mark.slow
            yield pytest.param(calls, line, marks=marks)


@pytest.mark.parametrize(("calls", "line"), [*cases()])
def test_code_that_ends_the_command(train, tmp_path, calls, line):
    done = train(line, calls)
    assert (done.code, done.out) == (3, b"")
    assert "import:bad_net:Net: expected " in done.line
    assert f"got {ENDS[line]}" in done.line
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("line", [PRINTS[0], pytest.param(PRINTS[1], marks=pytest.mark.slow)])
def test_code_that_prints(train, line):
    done = train(line, IN_TRAINING)
    assert (done.code, done.out) == (0, b"m\n"), done.err
    assert "data" in done.err
