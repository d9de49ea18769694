"""Barriers, small values and sums between real processes, with Gloo."""

import json
import os
import signal
import time

import torch

from ectool.distributed.group import Group, joined
from ectool.distributed.world import World


def results(folder, processes):
    codes = [process.wait() for process in processes]
    ranks = range(len(processes))
    assert codes == [0] * len(processes), [(folder / f"{rank}.err").read_text() for rank in ranks]
    texts = [(folder / str(rank)).read_text() for rank in ranks]
    return [json.loads(text) if text else None for text in texts]


def test_a_process_alone_has_its_own_values():
    tensor = torch.ones(2)
    with joined() as group:
        group.barrier()
        group.all_reduce(tensor)
        assert (group.broadcast("a"), group.gather(1)) == ("a", [1])
    assert tensor.tolist() == [1, 1]
    assert Group(World()).world.is_alone
    assert not torch.distributed.is_initialized()


def test_processes_exchange_values(start, tmp_path):
    once = [[6.0, 6.0], [0, "a"], [0, 1, 2]]
    assert results(tmp_path, start("exchange", 3)) == [[once, False, once, False]] * 3


def test_rank_0_decides_for_all(start, tmp_path):
    decided = [["0", 1], "--a: expected b, got c; d", 3]
    assert results(tmp_path, start("decide", 3)) == [decided] * 3


def test_a_process_that_ends_is_noticed(start, tmp_path):
    start_time = time.monotonic()
    found = results(tmp_path, start("lose", 2))
    assert found[0].startswith("another process of this job: expected an answer, got ")
    assert time.monotonic() - start_time < 30


def test_waiting_for_others_can_be_interrupted(start):
    (process,) = start("wait", 2, ranks=[0])
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait() == 130
