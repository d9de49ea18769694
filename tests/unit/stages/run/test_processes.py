"""Arms and seeds in several processes: the division of the work, its end, and the same bytes."""

import os
import signal
import time

import pytest

from ectool.config import RunConfig
from ectool.errors import InputError, MachineError
from ectool.stages import run as experiment
from ectool.stages.run import plan
from ectool.stages.run.processes import tasks_of, workers

FILE = """
[defaults]
data = "imagefolder:{images}"
size = 16
threads = 1
device = "cpu"
[experiment]
seeds = [0, 1]
warmup = 0.5
[experiment.arms.focal.train]
objective = "focal"
[experiment.arms.plain]
[experiment.arms.consistency]
reweight = "consistency"
[train]
epochs = 2
[perturb]
steps = 1
[evaluate]
split = "train"
suite = ["classification"]
"""


def written(folder, images):
    (folder / "e.toml").write_text(FILE.format(images=images))
    return folder / "e.toml"


def test_arms_of_one_warm_up_are_one_task_and_those_with_rounds_are_first(tmp_path):
    found = tasks_of(plan.open_experiment(RunConfig(file=written(tmp_path, "x"))))
    shared = ("plain", "consistency")
    assert found == [(0, shared), (1, shared), (0, ("focal",)), (1, ("focal",))]


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def fail():
    """Begin a long task, then raise; the message is the number of the process."""
    with workers(1) as pool:
        process = pool.submit(os.getpid).result()
        pool.submit(time.sleep, 600)
        raise ValueError(process)


@pytest.mark.slow
def test_an_error_ends_the_processes_at_once():
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"[0-9]+") as caught:
        fail()
    assert time.monotonic() - start < 60
    assert not alive(int(str(caught.value)))


def be_killed():
    """Begin a process that kills itself."""
    with workers(1) as pool:
        pool.submit(os.kill, pool.submit(os.getpid).result(), signal.SIGKILL).result()


def test_a_killed_process_is_one_line():
    with pytest.raises(MachineError, match="got one that was killed"):
        be_killed()


@pytest.mark.slow
def test_the_artifacts_are_those_of_one_process(data_root, images, tmp_path, tree):
    file = written(tmp_path, images)
    given = {"file": file, "threads": 1, "device": "cpu", "report": False}
    one = experiment.run(RunConfig(**given, output=tmp_path / "one"))
    two = experiment.run(RunConfig(**given, output=tmp_path / "two", processes=2))
    assert one.is_new
    assert two.is_new
    assert tree(tmp_path / "two") == tree(tmp_path / "one")
    again = experiment.run(RunConfig(**given, output=tmp_path / "two", processes=2))
    assert not again.is_new


@pytest.mark.slow
def test_the_error_of_a_chain_is_that_of_the_command(data_root, tmp_path):
    config = RunConfig(file=written(tmp_path, "missing"), output=tmp_path / "out", processes=2)
    with pytest.raises(InputError, match="missing"):
        experiment.run(config)


def test_new_processes_run_no_code_of_the_current_folder(tmp_path, monkeypatch):
    for name in ("multiprocessing", "pickle"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    with workers(1) as pool:
        assert pool.submit(os.getcwd).result() == str(tmp_path)
    assert not (tmp_path / "ran").exists()
    assert "PYTHONSAFEPATH" not in os.environ
