"""Which processes may write one artifact at the same time."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from ectool.artifacts.jobs import locks, writers
from ectool.config.parts import Part
from ectool.errors import BusyOutputError, InputError

OUTPUT = Path("a.zarr")
AT_WORK = "a.zarr: expected one process writing it, got (another one at work|process [0-9]+ on)"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "unfinished"


def elsewhere(block):
    """Enter and leave a block in another thread, which no lock of this one lets through."""

    def enter():
        with block:
            pass

    with ThreadPoolExecutor(1) as pool:
        pool.submit(enter).result()


def test_different_parts_are_written_together(folder):
    with ExitStack() as held:
        for number in (1, 2, 3):
            held.enter_context(locks.sharing(folder, OUTPUT, Part(number, 3)))


@pytest.mark.parametrize("other", [Part(1, 2), Part(1, 3)], ids=["the same part", "another count"])
def test_parts_that_overlap_are_refused(folder, other):
    with (
        locks.sharing(folder, OUTPUT, Part(1, 2)),
        pytest.raises(BusyOutputError, match=AT_WORK),
    ):
        elsewhere(locks.sharing(folder, OUTPUT, other))
    with locks.sharing(folder, OUTPUT, other):  # the lock ends with its holder
        pass


@pytest.mark.parametrize("everything", [writers.exclusive, locks.whole])
def test_parts_and_everything_exclude_each_other(folder, everything):
    part, other = (locks.sharing(folder, OUTPUT, Part(number, 2)) for number in (1, 2))
    with part, pytest.raises(BusyOutputError, match=AT_WORK):
        elsewhere(everything(folder, OUTPUT))
    with everything(folder, OUTPUT), pytest.raises(BusyOutputError, match=AT_WORK):
        elsewhere(other)


def test_ranks_follow_the_first_and_delay_the_next_job(folder, monkeypatch):
    folder.mkdir()
    monkeypatch.setattr(locks, "PATIENCE", 0.05)
    locks.wait_for_followers(folder, OUTPUT)
    with locks.following(folder, OUTPUT, None), locks.following(folder, OUTPUT, None):
        with pytest.raises(BusyOutputError, match=AT_WORK):
            locks.wait_for_followers(folder, OUTPUT)
        locks.wait_for_followers(folder, OUTPUT, Part(1, 2))
    locks.wait_for_followers(folder, OUTPUT)


def test_a_rank_does_not_follow_where_the_next_job_begins(folder):
    folder.mkdir()
    with (folder / "lock-ranks").open("w") as lock:
        assert locks.is_held(lock.fileno())
        with pytest.raises(BusyOutputError, match=AT_WORK), locks.following(folder, OUTPUT, None):
            pass


def test_an_error_of_input_leaves_no_folder_with_locks_alone(folder):
    def fail():
        with writers.exclusive(folder, OUTPUT), locks.creating(folder):
            raise InputError("a", expected="b", got="c", fix="d")

    with pytest.raises(InputError, match="a: expected b"):
        fail()
    assert not folder.exists()


def test_a_lock_that_was_removed_by_its_last_holder_does_not_count(tmp_path):
    with (tmp_path / "lock").open("w") as lock:
        (tmp_path / "lock").unlink()
        assert not locks.is_held(lock.fileno())
