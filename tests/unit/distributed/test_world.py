"""The place of a process, from the variables of torchrun."""

import pytest

from ectool.distributed.world import (
    World,
    apart,
    is_store_held,
    meeting_point,
    strangers,
    world,
)
from ectool.errors import UsageError


def test_a_process_without_variables_is_alone():
    found = world({})
    assert found == World(rank=0, size=1, local_rank=0, restart=0)
    assert found.is_first
    assert found.is_alone


@pytest.mark.parametrize("lacking", ["RANK", "WORLD_SIZE"])
def test_one_of_both_variables_says_nothing(lacking):
    environ = {"RANK": "1", "WORLD_SIZE": "2"}
    del environ[lacking]
    assert world(environ).is_alone


def test_the_variables_of_torchrun():
    environ = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "TORCHELASTIC_RESTART_COUNT": "2"}
    found = world(environ)
    assert found == World(rank=5, size=8, local_rank=1, restart=2)
    assert not found.is_first
    assert not found.is_alone


def test_a_process_apart_is_alone_on_its_own_device():
    environ = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    with apart():
        assert world(environ) == World(local_rank=1)
    assert world(environ).rank == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"RANK": "2"}, "variable RANK: expected a number below WORLD_SIZE, 2, got 2"),
        ({"RANK": "-1"}, "variable RANK: expected an integer, at least 0, got '-1'"),
        ({"WORLD_SIZE": "0"}, "variable WORLD_SIZE: expected an integer, at least 1, got '0'"),
        ({"LOCAL_RANK": "x"}, "variable LOCAL_RANK: expected an integer, at least 0, got 'x'"),
    ],
)
def test_unusable_variables(change, message):
    with pytest.raises(UsageError, match=f"{message}; start the processes with torchrun"):
        world({"RANK": "0", "WORLD_SIZE": "2"} | change)


@pytest.mark.parametrize(
    ("size", "rank"),
    [
        ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
        ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
        ("PMI_SIZE", "PMI_RANK"),
    ],
)
def test_processes_of_other_launchers(size, rank):
    assert strangers({size: "4", rank: "0"}) == (size, 4)
    assert strangers({size: "4", rank: "0", "RANK": "0"}) == (size, 4)
    assert strangers({size: "4", rank: "1"}) is None
    assert strangers({size: "1", rank: "0"}) is None
    assert strangers({size: "4", rank: "0", "RANK": "0", "WORLD_SIZE": "4"}) is None
    assert strangers({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}) is None  # a script of sbatch


def test_the_meeting_point():
    environ = {"MASTER_ADDR": "host", "MASTER_PORT": "29500"}
    assert meeting_point(environ) == ("host", 29500)
    assert not is_store_held(environ)
    assert is_store_held(environ | {"TORCHELASTIC_USE_AGENT_STORE": "True"})
    with pytest.raises(UsageError, match=r"variable MASTER_PORT: expected an integer.* got 'a'"):
        meeting_point(environ | {"MASTER_PORT": "a"})
    with pytest.raises(UsageError, match="variable MASTER_ADDR: expected the host of rank 0"):
        meeting_point({})
