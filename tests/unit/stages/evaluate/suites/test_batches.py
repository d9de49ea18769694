"""An evaluation in several processes: the bytes of one process, also after a kill."""

from __future__ import annotations

import pytest
import ranked

FEW = ("--suite", "classification,robustness")
ALL = (
    *("--suite", "classification,debiasing,robustness,localization,faithfulness,sanity"),
    *("--suite", "stability,filters", "--corruptions", "fog", "--explainers", "layercam"),
    *("--replaced", "0.5", "--challenge"),
)
OPTIONS = (
    *("--data", "digits", "--split", "validation", "--limit", "40", "--threads", "1", "--quiet"),
    *("--batch-size", "8", "--shard-size", "20", "--subset", "12", "--bootstrap", "100"),
    *("--attacks", "pgd", "--eps", "2/255", "--eps-l2", "", "--steps", "1"),
)


@pytest.fixture
def start(zygote_socket, model, tmp_path):
    """Return a function that begins an evaluation in some processes."""

    def started(size, name, *options, **zygote):
        argv = ["evaluate", "--model", str(model), *OPTIONS, *options]
        argv += ["--output", str(tmp_path / name)]
        return ranked.start(zygote_socket, argv, size, tmp_path, **zygote)

    return started


@pytest.fixture
def alone(start, tmp_path):
    """Return the folder of an evaluation by one process."""
    ranked.finish(start(1, "alone", *FEW, "--corruptions", ""), tmp_path)
    return tmp_path / "alone"


@pytest.mark.slow
def test_three_processes_continue_a_killed_job_to_the_bytes_of_one(start, alone, tmp_path, tree):
    options = (*FEW, "--corruptions", "")
    killed = start(2, "job", *options, folder=str(tmp_path / "job"), crash_at=3)
    assert [process.wait() for process in killed] == [3, -9]
    error = (tmp_path / "err-0").read_text()
    assert error.startswith("error: another process of this job: expected an answer, got ")
    pieces = [path.name for path in (tmp_path / "job").glob("*.partial-*/pieces/*")]
    assert "000000000008-000000000016.npz" in pieces
    assert ranked.finish(start(3, "job", *options), tmp_path) == f"{tmp_path / 'job'}\n"
    assert tree(tmp_path / "job") == tree(alone)
    before = (tmp_path / "job" / "results.json").stat().st_mtime_ns
    ranked.finish(start(2, "job", *options), tmp_path)
    assert (tmp_path / "job" / "results.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_all_suites_give_the_bytes_of_one_process(start, tmp_path, tree):
    for size in (1, 2):
        ranked.finish(start(size, str(size), *ALL), tmp_path)
    found, expected = tree(tmp_path / "2"), tree(tmp_path / "1")
    assert {"results.json", "filters.zarr/manifest.json"} <= set(expected)
    assert found == expected


def test_a_missed_gate_is_told_by_rank_0(start, tmp_path):
    processes = start(2, "job", "--suite", "classification", "--require", "accuracy>=101")
    assert [process.wait() for process in processes] == [6, 0]
    assert (tmp_path / "out-0").read_text() == f"{tmp_path / 'job'}\n"
    assert [(tmp_path / name).read_text() for name in ("out-1", "err-1")] == ["", ""]
    assert "accuracy@original" in (tmp_path / "err-0").read_text()
