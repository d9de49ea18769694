"""Processes that never come are named: after a short time, and in the error at the end."""

import json
import re

import pytest

ABSENT = {
    (0,): "ranks 1, 2 of 3",
    (1,): "rank 0 of 3",
    (0, 2): "rank 1 of 3",
}


@pytest.mark.parametrize("present", ABSENT)
def test_who_is_waited_for(start, tmp_path, present):
    processes = start("miss", 3, ranks=present)
    assert {process.wait() for process in processes} == {0}
    assert re.fullmatch(
        rf"{ABSENT[present]}: expected to join at localhost:\d+ within 0:00:01, got no sign of it; "
        "start one process for each rank, e.g. with torchrun, or unset RANK and WORLD_SIZE",
        json.loads((tmp_path / str(present[0])).read_text()),
    )
    told = [(tmp_path / f"{rank}.err").read_text() for rank in present]
    # A present rank that starts late, on a busy machine, is waited for as well.
    named = "|".join({ABSENT[present].removesuffix(" of 3"), "ranks 1, 2"})
    assert re.fullmatch(
        rf"rank {present[0]} of 3 waits for ({named}) at localhost:\d+, at most 0:00:01\n",
        told[0],
    )
    assert not any("waits" in text for text in told[1:])
