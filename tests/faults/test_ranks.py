"""Several processes of one command: the bytes of one process, errors in one line, kills."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time

import pytest

SHAPE = ("--data", "digits", "--split", "validation", "--device", "cpu", "--limit", 60)
SMALL = (*SHAPE, "--shard-size", 8, "--batch-size", 4, "--steps", 1)
OUTPUTS = ("adv.zarr", "cams.zarr")


@pytest.fixture(scope="module")
def command(model):
    return ["perturb", "--model", model, *SMALL]


def outputs(folder, samples="adv.zarr"):
    return ("--output", folder / samples, "--heatmaps", folder / "cams.zarr")


@pytest.fixture(scope="module")
def reference(zygote, command, tree, tmp_path_factory):
    """Return the bytes that one process writes."""
    folder = tmp_path_factory.mktemp("reference")
    zygote.succeed(*command, *outputs(folder))
    zygote.succeed("convert", folder / "adv.zarr", folder / "adv.h5")
    return tree(folder)


@pytest.fixture
def ranks(zygote, monkeypatch):
    """Return a function that starts a command in several processes, as torchrun does."""

    def start(size, *argv, **options):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        known = {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "WORLD_SIZE": size}
        for name, value in known.items():
            monkeypatch.setenv(name, str(value))
        started = []
        for rank in range(size):
            monkeypatch.setenv("RANK", str(rank))
            started.append(zygote.start(*argv, **options))
        for name in (*known, "RANK"):
            monkeypatch.delenv(name)
        return started

    return start


def ended(processes):
    """Return exit codes and output of all processes."""
    codes = [process.wait() for process in processes]
    return codes, [process.log.read_text() for process in processes]


def finished_shards(folder):
    """Return the markers of an unfinished output; a killed rank has joined if it has grown."""
    return list(folder.glob("adv*/shards/*.json"))


def without(tree, *suffixes):
    return {name: data for name, data in tree.items() if not name.startswith(suffixes)}


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_bytes_of_one_process(ranks, command, reference, tree, tmp_path, size):
    codes, texts = ended(ranks(size, *command, *outputs(tmp_path)))
    assert codes == [0] * size, texts
    assert tree(tmp_path) == without(reference, "adv.h5")
    assert texts[0].count("adv.zarr") >= 1
    assert texts[1:] == [""] * (size - 1)
    codes, texts = ended(ranks(size, *command, *outputs(tmp_path)))
    assert codes == [0] * size, texts
    assert "up to date" in texts[0]
    assert texts[1:] == [""] * (size - 1)


@pytest.mark.slow
def test_hdf5(ranks, command, reference, tmp_path):
    codes, texts = ended(ranks(2, *command, "--output", tmp_path / "adv.h5"))
    assert codes == [0, 0], texts
    assert (tmp_path / "adv.h5").read_bytes() == reference["adv.h5"]


NETWORK = """
import os
from ectool.models.sources.smallcnn import SmallCNN

def make(num_classes):
    {line}
    return SmallCNN(num_classes)
"""


@pytest.mark.parametrize(
    "line", ["os._exit(0)", pytest.param("raise SystemExit", marks=pytest.mark.slow)]
)
def test_code_that_ends_a_rank_is_named(ranks, tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ending_net.py").write_text(NETWORK.format(line=line))
    options = ("--epochs", 1, "--limit", 8, "--device", "cpu", "--output", tmp_path / "m")
    codes, texts = ended(
        ranks(2, "train", "--model", "import:ending_net:make", "--data", "digits", *options)
    )
    assert codes == [3, 3], texts
    assert all("error: model import:ending_net:make: expected " in text for text in texts)
    assert not (tmp_path / "m").exists()


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--eps", "auto"), ("--restarts", 2, "--seed", 3)])
def test_what_depends_on_all_samples(ranks, zygote, command, tree, tmp_path, options):
    folders = [tmp_path / name for name in ("one", "two")]
    zygote.succeed(*command, *options, *outputs(folders[0]))
    codes, texts = ended(ranks(2, *command, *options, *outputs(folders[1])))
    assert codes == [0, 0], texts
    assert tree(folders[0]) == tree(folders[1])


@pytest.mark.slow
def test_explain_in_parts_and_ranks(ranks, zygote, model, command, reference, tree, tmp_path):
    zygote.succeed(*command, "--output", tmp_path / "adv.zarr")
    explain = ["explain", "--model", model, "--samples", tmp_path / "adv.zarr", "--device", "cpu"]
    explain += ["--shard-size", 8, "--output", tmp_path / "cams.zarr"]
    for part in ("2/2", "1/2"):
        codes, texts = ended(ranks(2, *explain, "--shard", part))
        assert codes == [0, 0], texts
    zygote.succeed("merge", tmp_path / "cams.zarr")
    assert tree(tmp_path) == without(reference, "adv.h5")


@pytest.mark.slow
def test_force_and_resume(ranks, command, reference, tree, flip, tmp_path):
    ended(ranks(2, *command, "--seed", 5, *outputs(tmp_path)))
    codes, texts = ended(ranks(2, *command, *outputs(tmp_path)))
    assert codes == [4, 4]
    assert "adv.zarr: expected" in texts[0]
    codes, texts = ended(ranks(2, *command, *outputs(tmp_path), "--force"))
    assert codes == [0, 0], texts
    assert {name.partition("/")[0] for name in tree(tmp_path)} > set(OUTPUTS)
    flip(tmp_path / "adv.zarr/image/c/3/0/0/0", 50)
    codes, texts = ended(ranks(2, *command, *outputs(tmp_path), "--resume"))
    assert codes == [0, 0], texts
    assert "computing damaged shards [3] again" in texts[0]
    found = {n: data for n, data in tree(tmp_path).items() if n.partition("/")[0] in OUTPUTS}
    assert found == without(reference, "adv.h5")


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_killed_ranks_and_other_numbers_of_them(
    ranks, zygote, command, reference, tree, tmp_path, killed
):
    """Kill one rank at a random moment; the others end; continue with more ranks, then with one."""
    choose, folder = random.Random(killed), tmp_path / "broken"
    longer = [*command, "--steps", 20]
    for size in (2, 3):
        wanted = len(finished_shards(folder)) + choose.randint(1, 2)
        processes = ranks(size, *longer, *outputs(folder))
        processes[killed].wait_until(lambda wanted=wanted: len(finished_shards(folder)) >= wanted)
        processes[killed].send(signal.SIGKILL, choose.uniform(0, 0.02))
        codes, texts = ended(processes)
        assert codes[killed] == -signal.SIGKILL
        assert all(code in (3, -signal.SIGKILL) for code in codes), texts
    zygote.succeed(*longer, *outputs(folder))
    zygote.succeed(*longer, *outputs(tmp_path / "unbroken"))
    assert tree(folder) == tree(tmp_path / "unbroken")


def ectool(*argv):
    return [sys.executable, "-m", "ectool", *map(str, argv)]


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(one) for one in found.stdout.split()]


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class TestNproc:
    """`--nproc`, whose processes are new ones: each imports torch."""

    pytestmark = pytest.mark.slow

    def start(self, command, folder, *options):
        argv = ectool(*command, *outputs(folder), "--nproc", 2, *options)
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_bytes_output_and_errors(self, command, reference, tree, tmp_path):
        process = self.start(command, tmp_path, "--json")
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert out.count('"artifact"') == 1
        assert tree(tmp_path) == without(reference, "adv.h5")
        process = self.start(command, tmp_path, "--seed", 9)
        assert process.communicate()[0] == ""
        assert process.returncode == 4

    def test_a_killed_rank_is_named_and_the_same_command_continues(
        self, command, tree, zygote, tmp_path
    ):
        longer = [*command, "--steps", 40]
        folder = tmp_path / "a"
        process = self.start(longer, folder)
        wait_for(lambda: list(folder.glob("adv*/shards/*.json")))
        first, second = sorted(children(process.pid))[:2]
        os.kill(second, signal.SIGKILL)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 3
        assert err.count("error: ") == 1
        assert (
            "error: rank 1 of 2: expected a process that ends by itself, got one that was " in err
        )
        assert "killed by SIGKILL" in err
        assert not is_alive(first)
        zygote.succeed(*longer, *outputs(folder))
        zygote.succeed(*longer, *outputs(tmp_path / "b"))
        assert tree(folder) == tree(tmp_path / "b")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_no_process_outlives_the_launcher(self, command, tmp_path, number):
        process = self.start([*command, "--steps", 60], tmp_path)
        wait_for(lambda: list(tmp_path.glob("adv*/shards/*.json")))
        ranks = children(process.pid)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        if number == signal.SIGKILL:
            assert process.returncode == -number
        else:
            assert process.returncode == 130
            assert err.count("error: interrupted; what is finished stays") == 1
        wait_for(lambda: not any(is_alive(rank) for rank in ranks), seconds=10)

    def test_up_to_date_without_processes(self, zygote, command, tmp_path):
        zygote.succeed(*command, *outputs(tmp_path))
        code = "import sys; sys.modules['torch'] = None; from ectool.__main__ import main; main()"
        argv = [sys.executable, "-c", code, *map(str, [*command, *outputs(tmp_path)])]
        found = subprocess.run([*argv, "--nproc", "2"], capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        assert "adv.zarr: up to date" in found.stderr

    def test_a_missed_gate_reads_as_that_of_one_process(self, zygote, model, tmp_path):
        argv = ["evaluate", "--model", model, *SHAPE, "--suite", "classification", "--json"]
        argv += ["--output", tmp_path / "e", "--require", "accuracy>=101"]
        found = []
        for options in (("--nproc", 2), ("--nproc", 1)):
            done = subprocess.run(
                ectool(*argv, *options, "--force"), capture_output=True, text=True, check=False
            )
            found.append((done.returncode, done.stderr.splitlines()[-1]))
            assert '"passed": false' in done.stdout
        assert found[0] == found[1]
        assert found[0][0] == 6

    def test_code_that_ends_a_rank_is_named(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "ending_net.py").write_text(NETWORK.format(line="os._exit(0)"))
        argv = ["train", "--model", "import:ending_net:make", "--data", "digits", "--limit", 8]
        argv += ["--epochs", 1, "--device", "cpu", "--output", "m", "--nproc", 2]
        done = subprocess.run(ectool(*argv), capture_output=True, text=True, check=False)
        assert done.returncode == 3
        (line,) = [one for one in done.stderr.splitlines() if one.startswith("error: ")]
        assert "model import:ending_net:make: expected " in line
        assert "got a process that was ended (exit code 0)" in line

    def test_an_error_of_all_ranks_is_one_line(self, command, tmp_path):
        process = self.start([*command, "--layer", "nowhere"], tmp_path)
        _, err = process.communicate()
        assert process.returncode == 3
        assert err.count("error: ") == 1
        assert "error: rank " in err


@pytest.mark.slow
def test_torchrun_restarts(command, reference, tree, tmp_path):
    argv = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    argv += ["--max-restarts", "2", "-m", "ectool", *map(str, [*command, *outputs(tmp_path)])]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list(tmp_path.glob("adv*/shards/*.json")))
    os.kill(max(children(process.pid)), signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out == f"{tmp_path / 'adv.zarr'}\n"
    assert tree(tmp_path) == without(reference, "adv.h5")
