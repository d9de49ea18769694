"""Commands again and again in one process: it holds no more than in the beginning."""

from __future__ import annotations

import pytest

from ectool.artifacts import files
from tests.gauges import gauges, leaks
from tests.soak import call

CALLS, EVERY = 160, 8
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("command", ["inspect", "verify", "score", "convert", "missing"])
def test_a_process_that_runs_a_command_again(command, samples, heatmaps, tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    weights, copy = tmp_path / "weights.zarr", tmp_path / "cams.h5"
    code, line = {
        "inspect": (0, ("inspect", samples)),
        "verify": (0, ("verify", heatmaps)),
        "score": (0, ("score", "--heatmaps", heatmaps, "--output", weights)),
        "convert": (0, ("convert", heatmaps, copy)),
        "missing": (3, ("inspect", tmp_path / "missing.zarr")),
    }[command]
    rounds = []
    for number in range(CALLS):
        if number % 2:  # written anew every other time
            files.remove(weights)
            files.remove(copy)
        assert call(line, tmp_path / "log") == code
        if number % EVERY == EVERY - 1:
            rounds.append(gauges() | {"temporary files": len(list(temporary.iterdir()))})
    assert leaks(rounds) == []
