"""What a process writes about its error, and which of several errors was the cause."""

import json

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from ectool.distributed import failures
from ectool.distributed.failures import Failure, cause, parts_of, record
from ectool.errors import InputError, MachineError, PeerError, QualityGateError

ERROR = InputError("--data x", expected="a data set", got="none", fix="give one")
LOST = PeerError("another process", expected="an answer", got="none", fix="see it")


def parts(error):
    return {name: getattr(error, name) for name in failures.PARTS} | {"kind": type(error).__name__}


def written(error, folder):
    """Return what the launcher reads of an error."""
    record(error, environ(folder, 0))
    return parts_of(json.loads((folder / "0/error.json").read_text()))


def environ(folder, rank, **others):
    place = folder / str(rank)
    place.mkdir()
    return {failures.FILE: str(place / "error.json"), **others}


def test_a_single_process_prints_its_error():
    assert record(ERROR, {})


def test_one_process_of_a_machine_prints(tmp_path):
    assert [record(ERROR, environ(tmp_path, rank)) for rank in range(3)] == [True, False, False]


def test_processes_of_nproc_leave_it_to_their_launcher(tmp_path):
    assert not record(ERROR, environ(tmp_path, 0, **{failures.RUN: "ectool-1"}))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, True),
        ({"RANK": "0", "WORLD_SIZE": "2"}, True),
        ({"RANK": "1", "WORLD_SIZE": "2"}, False),
        ({"RANK": "0", "WORLD_SIZE": "2", failures.RUN: "ectool-1"}, False),
    ],
)
def test_one_process_prints_that_it_was_interrupted(variables, expected):
    assert failures.prints_interrupt(variables) == expected


def test_torch_reads_what_is_written(tmp_path):
    record(ERROR, environ(tmp_path, 1))
    found = ProcessFailure(1, 7, 3, str(tmp_path / "1/error.json"))
    assert found.message["extraInfo"]["py_callstack"] == str(ERROR)
    assert parts_of(found.error_file_data) == parts(ERROR)


@pytest.mark.parametrize("data", [None, "text", {}, {"message": "of another program"}])
def test_errors_of_other_programs_have_no_parts(data):
    assert parts_of(data) == {}
    assert parts_of(json.loads(json.dumps(data))) == {}


def test_the_error_of_a_process_keeps_its_exit_code_and_names_the_rank():
    found = cause([Failure(2, 3, 10, parts(ERROR)), Failure(0, 130, 9, {})], 4)
    assert str(found) == f"rank 2: {ERROR}"
    assert found.exit_code == 3


def test_what_the_whole_job_has_found_has_no_rank(tmp_path):
    missed = QualityGateError("results.json", expected="1 gate to pass", got="0", fix="see it")
    found = cause([Failure(0, 6, 10, written(missed, tmp_path))], 2)
    assert str(found) == str(missed)
    assert found.exit_code == 6


def test_a_killed_process_comes_before_the_errors_that_follow_from_it():
    other = MachineError("this machine", expected="a", got="b", fix="c")
    found = cause(
        [
            Failure(0, 3, 9, parts(LOST)),
            Failure(1, -9, 10.5, {}),
            Failure(2, 1, 10, parts(other)),
            Failure(3, -15, 40, {}),
        ],
        4,
    )
    assert str(found) == (
        "rank 1 of 4: expected a process that ends by itself, got one that was killed by SIGKILL "
        "(often for its memory); run the same command again: it continues from what is finished; "
        "with fewer processes if memory is short"
    )
    assert found.exit_code == 3


def test_processes_that_the_launcher_kills_late_are_not_the_cause():
    for late in (Failure(0, -9, 40, {}), Failure(0, -15, 10, {})):
        assert str(cause([late, Failure(1, 3, 10, parts(ERROR))], 2)) == f"rank 1: {ERROR}"


def test_a_process_that_writes_nothing():
    found = cause([Failure(1, 7, 10, {})], 2)
    assert "rank 1 of 2: expected exit code 0, got 7; see the lines above" in str(found)


def test_a_signal_without_a_name():
    assert "killed by SIGTERM;" in str(cause([Failure(0, -15, 1, {})], 2))
    assert "killed by signal 200;" in str(cause([Failure(0, -200, 1, {})], 2))


def test_only_lost_ones():
    assert str(cause([Failure(1, 3, 9, parts(LOST))], 2)).startswith("rank 1: another process")


def test_an_interrupt_is_no_error():
    for other in (130, -15):
        assert cause([Failure(0, 130, 9, {}), Failure(1, other, 8, {})], 2) is None
