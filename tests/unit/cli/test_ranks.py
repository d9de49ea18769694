"""Who prints, among several processes of one command."""

import os

import pytest

from ectool.cli import ranks
from ectool.config import DoctorConfig, PartOptions, RankOptions
from ectool.distributed.launch import RanksNeededError
from ectool.distributed.meeting import LOG
from ectool.errors import InputError, QualityGateError, UsageError
from ectool.types import SilentReporter


class Kept(SilentReporter):
    """A reporter that keeps what it gets."""

    def __init__(self):
        self.lines = []

    def note(self, message):
        self.lines.append(message)

    def warn(self, message):
        self.lines.append(f"warning: {message}")

    def table(self, lines):
        self.lines += lines


@pytest.fixture
def second(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")


def tell(reporter):
    reporter.note("a")
    reporter.warn("b")
    with reporter.task("c", 1) as advance:
        advance(1)


def test_one_process_prints_at_once():
    kept = Kept()
    with ranks.reporting(kept, RankOptions()) as reporter:
        assert reporter is kept
    with ranks.reporting(kept, DoctorConfig()) as reporter:
        assert reporter is kept


@pytest.mark.usefixtures("second")
def test_a_second_process_prints_nothing(capsys):
    with ranks.reporting(Kept(), RankOptions()) as reporter:
        assert isinstance(reporter, SilentReporter)
    ranks.write(b"data")
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("second")
def test_the_code_of_torch_warns_only_if_it_is_asked(monkeypatch):
    monkeypatch.setenv(ranks.LOGGED, "INFO")
    ranks.begin()
    assert os.environ[ranks.LOGGED] == "INFO"
    monkeypatch.delenv(ranks.LOGGED)
    ranks.begin()
    assert os.environ[ranks.LOGGED] == "ERROR"
    del os.environ[ranks.LOGGED]


def test_notes_of_a_launcher_wait_until_nothing_is_launched():
    kept = Kept()
    with ranks.reporting(kept, RankOptions(nproc=2)) as reporter:
        tell(reporter)
        reporter.table(["c"])
        assert kept.lines == []
    assert kept.lines == ["a", "warning: b", "c"]


def fail(kept, error):
    with ranks.reporting(kept, RankOptions(nproc=2)) as reporter:
        tell(reporter)
        raise error


def test_notes_of_a_launcher_are_left_to_rank_0():
    kept = Kept()
    with pytest.raises(RanksNeededError, match="2"):
        fail(kept, RanksNeededError(2))
    assert kept.lines == []


def test_notes_come_before_an_error():
    kept = Kept()
    with pytest.raises(InputError, match="a: expected b"):
        fail(kept, InputError("a", expected="b", got="c", fix="d"))
    assert kept.lines == ["a", "warning: b"]


@pytest.mark.usefixtures("second")
def test_commands_that_cannot_share_their_work_are_refused():
    ranks.check("perturb", RankOptions(), is_dry=False)
    with pytest.raises(UsageError, match=r"doctor: expected one process, .* got 2 processes"):
        ranks.check("doctor", DoctorConfig(), is_dry=False)
    with pytest.raises(UsageError, match="perturb --dry-run: expected one process"):
        ranks.check("perturb", RankOptions(), is_dry=True)


def test_rank_0_alone_tells_what_the_job_has_found(monkeypatch):
    missed = QualityGateError("a", expected="b", got="c", fix="d")
    assert (ranks.exit_code(missed), ranks.prints_error(missed)) == (6, True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert (ranks.exit_code(missed), ranks.prints_error(missed)) == (0, False)


def test_processes_of_srun_are_warned_of_unless_each_has_its_part(monkeypatch):
    assert ranks.unshared(RankOptions()) is None
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setenv("SLURM_PROCID", "0")
    warning = ranks.unshared(RankOptions())
    assert warning.startswith("4 processes run beside each other (SLURM_STEP_NUM_TASKS) without ")
    assert ranks.unshared(PartOptions()) == warning
    assert ranks.unshared(PartOptions(shard="1/4")) is None
    assert ranks.unshared(DoctorConfig()) is None


@pytest.mark.usefixtures("second")
def test_a_process_that_waits_for_rank_0_says_so():
    kept = Kept()
    with ranks.reporting(kept, RankOptions()):
        LOG.warning("rank %d waits", 1)
    assert kept.lines == ["note: rank 1 waits"]


def test_one_process_may_run_everything():
    ranks.check("doctor", DoctorConfig(), is_dry=False)
