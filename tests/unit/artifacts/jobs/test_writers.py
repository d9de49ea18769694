"""One writer of an output; the next one is told which process that is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ectool.artifacts.jobs import writers
from ectool.errors import BusyOutputError, InputError

HOLD = (
    "import pathlib, sys, time; from ectool.artifacts.jobs import writers\n"
    "with writers.held(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.zarr"


@pytest.fixture
def holder(output):
    """Return another process that holds the lock."""
    argv = [sys.executable, "-c", HOLD, str(output)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def held(output, **options):
    with writers.held(output, **options):
        pass


def test_the_second_is_told_who_the_first_is(output, holder):
    who = rf"out.zarr: expected one process writing it, got process {holder.pid} on \S+ since 20"
    for shared in (False, True):
        with pytest.raises(BusyOutputError, match=who + r".* UTC \(.*out\.zarr\); wait for it"):
            held(output, shared=shared)


def test_a_killed_one_does_not_block(output, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert writers.lock_of(output).exists()
    held(output)
    assert not list(output.parent.iterdir())


def test_one_thread_may_hold_it_twice(output):
    with writers.held(output), writers.held(output):
        pass
    held(output)
    assert not list(output.parent.iterdir())


def test_parts_share_it_and_the_last_removes_it(output):
    lock = writers.open_lock(writers.lock_of(output))
    assert writers.try_lock(lock, shared=True)
    held(output, shared=True)
    assert writers.lock_of(output).exists()
    os.close(lock)
    held(output, shared=True)
    assert not writers.lock_of(output).exists()


@pytest.mark.parametrize("make", ["symlink_to", "hardlink_to"])
def test_what_a_lock_links_to_stays(output, make):
    victim = output.with_name("victim")
    victim.write_text("precious")
    getattr(writers.lock_of(output), make)(victim)
    with pytest.raises(InputError, match=r"partial-lock: expected a file of ectool, got a link"):
        held(output)
    assert victim.read_text() == "precious"


def test_pipes_and_folders_are_no_locks(output):
    os.mkfifo(writers.lock_of(output))
    with pytest.raises(InputError, match="expected a file of ectool"):
        held(output)
    writers.lock_of(output).unlink()
    writers.lock_of(output).mkdir()
    with pytest.raises(InputError, match="expected a file of ectool"):
        held(output)


def test_a_file_of_a_killed_process_is_removed(output):
    for name in ("out.zarr.0123456789abcdef.tmp", "other.0123456789abcdef.tmp"):
        output.with_name(name).touch()
    held(output)
    assert [path.name for path in output.parent.iterdir()] == ["other.0123456789abcdef.tmp"]


@pytest.mark.parametrize("count", [10, pytest.param(1000, marks=pytest.mark.slow)])
def test_two_that_start_at_the_same_moment(count, tmp_path):
    """One publishes; the other is told who that is, or finds the output finished."""
    argv = [sys.executable, str(Path(__file__).with_name("racing.py")), str(tmp_path), str(count)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    ends = [line.split("; ") for line in done.stdout.splitlines()]
    assert len(ends) == count
    for pair in ends:
        hows = dict(one.split(" ", 1) for one in pair)
        (winner,) = [pid for pid, how in hows.items() if how == "published"]
        (loser,) = [how for pid, how in hows.items() if pid != winner]
        assert loser in (f"told {winner}", "finished")
    outputs = list(tmp_path.iterdir())
    assert len(outputs) == count
    assert all((path / "model.json").read_bytes() == b"content" * 1000 for path in outputs)


class TestExclusive:
    def fail(self, folder, output, error, *names):
        with writers.exclusive(folder, output):
            for name in ("versions.json", *names):
                (folder / name).touch()
            raise error

    @pytest.mark.parametrize("error", [InputError, OSError, KeyboardInterrupt])
    def test_an_error_leaves_nothing_empty(self, tmp_path, error):
        output = tmp_path / "new" / "folder" / "out"
        given = {"expected": "a", "got": "b", "fix": "c"} if error is InputError else {}
        with pytest.raises(error):
            self.fail(output.with_name("out.partial-1"), output, error("x", **given))
        assert not list(tmp_path.iterdir())

    def test_an_error_leaves_results(self, tmp_path, output):
        folder = tmp_path / "out.partial-1"
        with pytest.raises(OSError, match="x"):
            self.fail(folder, output, OSError("x"), "result")
        assert {path.name for path in folder.iterdir()} == {"versions.json", "result"}

    def test_a_link_is_no_folder(self, tmp_path, output):
        (tmp_path / "theirs").mkdir()
        (tmp_path / "out.partial-1").symlink_to("theirs")
        with (
            pytest.raises(InputError, match=r"partial-1: expected a folder of this user, got a li"),
            writers.exclusive(tmp_path / "out.partial-1", output),
        ):
            pytest.fail("the link was followed")
        assert not list((tmp_path / "theirs").iterdir())

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
    def test_a_folder_of_somebody_else_where_all_may_write(self, tmp_path, output):
        folder = tmp_path / "out.partial-1"
        folder.mkdir()
        os.chown(folder, 4321, -1)
        with writers.exclusive(folder, output):  # in a folder of ours, nobody else put it there
            pass
        tmp_path.chmod(0o1777)
        with (
            pytest.raises(InputError, match=r"expected a folder of this user, got one of user 432"),
            writers.exclusive(folder, output),
        ):
            pytest.fail("it was taken")


def test_the_rest_of_a_killed_writer_is_removed_unless_one_is_at_work(output, holder):
    folder, other = (output.with_name(f"{output.name}.partial-{n}") for n in ("1", "2"))
    for one in (output, folder, other):
        one.mkdir()
    (folder / "job.json").touch()
    writers.remove_rest(output, folder)
    assert folder.exists()
    holder.kill()
    holder.wait()
    assert writers.lock_of(output).exists()
    writers.remove_rest(output, folder)
    assert sorted(output.parent.iterdir()) == [output, other]


def test_a_link_in_place_of_a_lock_does_not_end_a_command_that_has_nothing_to_do(output):
    folder, target = output.with_name(f"{output.name}.partial-1"), output.with_name("target")
    folder.mkdir()
    target.write_text("mine")
    writers.lock_of(output).symlink_to(target)
    writers.remove_rest(output, folder)
    assert (folder.exists(), target.read_text()) == (True, "mine")


def test_what_a_killed_repair_has_left_is_removed(output):
    folder = output.with_name(f"{output.name}.partial-repair")
    folder.mkdir()
    writers.remove_rest(output)
    assert list(output.parent.iterdir()) == []
    folder.mkdir()
    held(output)
    assert list(output.parent.iterdir()) == []
