"""Every fault outside of ectool is a one-line error and an exit code, never a traceback."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

SMALL = ("--shard-size", 32, "--limit", 64, "--device", "cpu")
DIGITS = ("--data", "digits", "--split", "validation")
NAMES = {"perturb": "a.zarr", "explain": "c.h5", "score": "w.zarr", "train": "model"}


@pytest.fixture
def commands(model, heatmaps, images):
    """Return command lines but for the output."""
    images = ("--data", f"imagefolder:{images}", "--size", 16, "--device", "cpu")
    return {
        "perturb": ["perturb", "--model", model, *DIGITS, *SMALL, "--steps", 1, "--output"],
        "explain": ["explain", "--model", model, *DIGITS, *SMALL, "--output"],
        "score": ["score", "--heatmaps", heatmaps, "--output"],
        "train": ["train", *images, "--epochs", 2, "--batch-size", 16, "--output"],
    }


class TestFullDisk:
    @pytest.mark.parametrize(
        ("stage", "size"), [("perturb", 3000), ("explain", 3000), ("score", 500), ("train", 3000)]
    )
    def test_in_the_middle_of_a_file(self, stage, size, run, commands, tmp_path):
        """Python, Zarr's codecs, HDF5 (C) and safetensors (Rust) all end with the same error."""
        done = run(*commands[stage], tmp_path / NAMES[stage], limits={"FSIZE": size})
        assert (done.code, done.out) == (3, b"")
        assert "expected space for a file of this size, got File too large" in done.line
        assert not (tmp_path / NAMES[stage]).exists()

    @pytest.mark.parametrize(
        ("number", "moment"),
        [(errno.ENOSPC, 1), (errno.EDQUOT, 9), (errno.EIO, 30), (errno.EROFS, 55)],
    )
    def test_at_any_change_of_a_file(self, number, moment, run, commands, tmp_path):
        output = tmp_path / "w.zarr"
        fault = {"folder": str(tmp_path), "crash_at": moment, "errno": number}
        done = run(*commands["score"], output, **fault)
        assert (done.code, done.out) == (3, b"")
        assert os.strerror(number) in done.line
        assert run(*commands["score"], output).code == 0

    @pytest.mark.parametrize("moment", [3, 11])
    def test_while_training(self, moment, run, commands, tmp_path):
        fault = {"folder": str(tmp_path), "crash_at": moment, "errno": errno.ENOSPC}
        done = run(*commands["train"], tmp_path / "model", **fault)
        assert (done.code, done.out) == (3, b"")
        assert "expected free space on the disk" in done.line


class TestLimits:
    @pytest.mark.parametrize("stage", ["perturb", "train"])
    def test_too_many_open_files(self, stage, run, commands, tmp_path):
        done = run(*commands[stage], tmp_path / NAMES[stage], limits={"NOFILE": 6})
        assert (done.code, done.out) == (3, b"")
        assert "got Too many open files; raise `ulimit -n`" in done.line

    def test_no_memory(self, run, commands, tmp_path):
        done = run(*commands["train"], tmp_path / "m", "--batch-size", 40, limits={"AS": 1 << 28})
        assert (done.code, done.out) == (3, b"")
        assert "expected enough memory for a batch" in done.line or "thread" in done.line


class TestStreams:
    def test_full_stdout(self, run, commands, tmp_path):
        full = os.open("/dev/full", os.O_WRONLY)
        done = run(*commands["score"], tmp_path / "w.zarr", out=full)
        os.close(full)
        assert done.code == 3
        assert "stdout: expected an open stream with room" in done.line
        assert (tmp_path / "w.zarr").exists()

    def test_full_stderr_stops_nothing(self, run, commands, tmp_path):
        full = os.open("/dev/full", os.O_WRONLY)
        done = run(*commands["train"], tmp_path / "model", err=full)
        os.close(full)
        assert (done.code, done.out) == (0, f"{tmp_path / 'model'}\n".encode())

    @pytest.mark.parametrize(("close", "code"), [([1], 3), ([2], 0), ([0, 1, 2], 3)], ids=str)
    def test_closed_ones_get_into_no_file(self, close, code, run, commands, tree, tmp_path):
        assert run(*commands["train"], tmp_path / "a").code == 0
        done = run(*commands["train"], tmp_path / "b", close=close)
        assert done.code == code
        if 2 not in close:
            assert "stdout: expected an open stream with room" in done.line
        same = [tree(tmp_path / name) for name in "ab"]
        assert same[0] == same[1]

    @pytest.mark.parametrize("stream", ["out", "err"])
    def test_a_reader_that_is_gone(self, stream, run, commands, tmp_path):
        reading, writing = os.pipe()
        os.close(reading)
        done = run(*commands["train"], tmp_path / "model", **{stream: writing})
        os.close(writing)
        assert done.code == 141
        assert "Traceback" not in done.err

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
    def test_paths_keep_their_bytes(self, encoding, heatmaps, tmp_path):
        output = os.fsencode(tmp_path) + "/é\udcff世.zarr".encode(errors="surrogateescape")
        done = subprocess.run(
            [sys.executable, "-m", "ectool", "score", "--heatmaps", heatmaps, "--output", output],
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, output + b"\n")
        assert b"Traceback" not in done.stderr

    def test_text_and_help_where_letters_are_missing(self, tmp_path):
        for argv in (["inspect", "é世\udcff"], ["evaluate", "--help"]):
            done = subprocess.run(
                [sys.executable, "-m", "ectool", *argv],
                env={**os.environ, "PYTHONIOENCODING": "ascii"},
                capture_output=True,
                check=False,
            )
            assert done.returncode == (3 if argv[0] == "inspect" else 0)
            assert b"Traceback" not in done.stderr


class TestPlaces:
    @pytest.mark.parametrize("name", ["file/w.zarr", f"{'a' * 300}.zarr", f"{'a/' * 3000}w.zarr"])
    def test_outputs_that_cannot_be(self, name, run, commands, tmp_path):
        (tmp_path / "file").write_text("")
        done = run(*commands["score"], tmp_path / name)
        assert (done.code, done.out) == (3, b"")
        assert "expected a" in done.line

    def test_a_folder_that_has_been_removed(self, run, commands, tmp_path, monkeypatch):
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        argv = [str(part) for part in (*commands["score"], "w.zarr")]
        # Python 3.13.0 itself fails to import, if the folder disappears after it has started.
        shell = ["sh", "-c", 'rmdir "$PWD" && exec "$0" -m ectool "$@"', sys.executable]
        done = subprocess.run([*shell, *argv], capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1

    def test_without_a_home_or_a_temporary_folder(self, run, commands, tmp_path, monkeypatch):
        monkeypatch.delenv("HOME")
        for name in ("TMPDIR", "MPLCONFIGDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
            monkeypatch.setenv(name, "/proc/nothing")
        assert run(*commands["score"], tmp_path / "w.zarr").code == 0
        assert run("doctor").code == 0

    def test_data_where_nothing_can_be_written(self, run, monkeypatch):
        monkeypatch.setenv("ECTOOL_DATA", "/proc/nothing")
        for verb in ("info", "check"):
            done = run("data", verb, "digits")
            assert (done.code, done.out) == (3, b"")
            assert "expected a folder that can be written" in done.line

    def test_modules_that_fail_or_end_the_process(self, run, images, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for number, line in enumerate(("raise KeyError('x')", "import sys; sys.exit(0)", "1 +")):
            (tmp_path / f"broken{number}.py").write_text(line)
            name = f"import:broken{number}:make"
            data = ("--data", f"imagefolder:{images}", "--size", 16)
            done = run("train", *data, "--model", name, "--output", tmp_path / "m")
            assert (done.code, done.out) == (3, b"")
            assert f"expected a module broken{number} that can be imported" in done.line


@pytest.mark.parametrize(
    ("number", "delay"),
    [
        (signal.SIGINT, 0.2),
        pytest.param(signal.SIGTERM, 0.8, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 1.0, marks=pytest.mark.slow),
    ],
)
def test_signals_at_any_moment(number, delay, commands, tmp_path):
    """From the first line of ectool on: before it, Python handles signals."""
    command = [sys.executable, "-m", "ectool", *map(str, commands["train"])]
    before = signal.signal(number, signal.SIG_DFL)  # nohup ignores it, and children inherit that
    process = subprocess.Popen(
        [*command, str(tmp_path / "model"), "--epochs", "999"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(number, before)
    time.sleep(delay)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    if process.returncode == -number:  # before there was any of our code
        return
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1].startswith("error: interrupted")
    assert "Traceback" not in err
