"""The launcher of `--nproc`: its processes are real; they need no torch here."""

import logging
import os
import signal
import sys

import pytest

from ectool.distributed.failures import RankError
from ectool.distributed.launch import RanksNeededError, cores, launch, need_ranks
from ectool.distributed.world import apart


def test_ranks_are_needed_by_a_process_that_is_alone(monkeypatch):
    with pytest.raises(RanksNeededError) as caught:
        need_ranks(2)
    assert caught.value.count == 2
    need_ranks(1)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    need_ranks(2)
    with apart():
        need_ranks(2)


@pytest.mark.slow
def test_every_rank_runs_the_command_line_and_rank_0_ends_it(capfd):
    before = signal.getsignal(signal.SIGINT), dict(os.environ), logging.root.manager.disable
    assert launch(2, ["--version"]) == 0
    assert capfd.readouterr().out.count("ectool ") == 2
    assert before == (
        signal.getsignal(signal.SIGINT),
        dict(os.environ),
        logging.root.manager.disable,
    )


def test_an_error_keeps_its_exit_code_and_is_printed_by_the_launcher(capfd):
    with pytest.raises(
        RankError, match=r"^rank [01]: ectool data list: .* No such option: --colour"
    ) as caught:
        launch(2, ["data", "list", "--colour"])
    assert caught.value.exit_code == 2
    assert capfd.readouterr() == ("", "")


def test_cores_are_those_that_this_process_may_use():
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_a_process_ends_with_its_launcher():
    """A process starts another one and ends; that one must end too."""
    code = (
        "import os, time; from ectool.distributed.launch import end_with_launcher\n"
        "if os.fork() == 0:\n"
        "    end_with_launcher(); time.sleep(60); os._exit(0)\n"
    )
    reader, writer = os.pipe()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", code],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)],
    )
    os.close(writer)
    os.waitpid(pid, 0)
    assert os.read(reader, 1) == b""  # the end of the pipe: nobody holds it any more
    os.close(reader)
