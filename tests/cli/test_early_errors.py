"""Usage errors that come before torch is imported and before data are read."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ectool.errors import UsageError
from ectool.stages.common import devices
from ectool.stages.common.devices import check_device

PROGRAM = """
import contextlib, io, json, sys
from ectool.cli.main import main
found = []
for line in json.load(sys.stdin):
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        try: main(line)
        except SystemExit as end: code = end.code
    found.append([code, err.getvalue(), sorted({"torch"} & set(sys.modules))])
json.dump(found, sys.stdout)
"""
NO_DATA = ["--data", "imagefolder:nowhere"]
CHECKPOINT = ["--model", "resnet18", "--checkpoint", "w.pth", "--classes", "2", *NO_DATA]
CASES = [
    (["perturb", *CHECKPOINT, "--output", "a"], 3, "expected an output that ends in .zarr"),
    (["explain", *CHECKPOINT, "--output", "a.npz"], 3, "got .npz; change --output"),
    (["perturb", *CHECKPOINT, "--output", "a.h5", "--heatmaps", "b"], 3, "b: expected an output"),
    (["score", "--heatmaps", "w.pth", "--output", "w.npy"], 3, "expected an output that ends"),
    (["perturb", *CHECKPOINT, "--output", "w.pth/a.zarr"], 3, "w.pth, which is a file; choose"),
    (["train", *NO_DATA, "--output", "w.pth/m/n"], 3, "expected a folder to write into"),
    (["evaluate", *CHECKPOINT, "--output", "w.pth/e"], 3, "expected a folder to write into"),
    (["report", "w.pth", "--output", "w.pth/a.html"], 3, "expected a folder to write into"),
    (["train", *NO_DATA, "--output", "full"], 4, "full: expected no output, or one of the same"),
    (["train", *NO_DATA, "--output", "m", "--resume", "n"], 3, "--resume n: expected a file"),
    (["train", *NO_DATA, "--output", "m", "--weights", "n"], 3, "--weights n: expected a file"),
    (["compare", "full", "n"], 3, "B n: expected a file or folder"),
    (["explain", "--model", "no/m", *NO_DATA, "--output", "a.h5"], 3, "no/m: expected model"),
    (["evaluate", "--model", "resnet1", "--output", "e"], 2, "did you mean resnet18?"),
    (["train", "--model", "resnet1", *NO_DATA, "--output", "m"], 3, "got 'resnet1'; try resnet"),
    (["train", *NO_DATA, "--output", "m", "--device", "cud"], 2, "did you mean cuda?"),
    (["train", *NO_DATA, "--output", "m", "--device", "mps"], 2, "(this machine is no Mac)"),
]


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac may have mps")
def test_errors_come_before_torch_and_data(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "w.pth").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([line for line, _, _ in CASES]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    for (line, code, message), (found, err, heavy) in zip(
        CASES, json.loads(done.stdout), strict=True
    ):
        assert (found, err.count("\n"), heavy) == (code, 1, []), (line, err)
        assert message in err, (line, err)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "w.pth"]


class TestDevices:
    @pytest.mark.parametrize("name", ["auto", "cpu", "cpu:0"])
    def test_these_are_everywhere(self, name):
        check_device(name)

    @pytest.mark.parametrize("name", ["cuda", "cuda:1"])
    def test_a_gpu_needs_a_driver(self, name, monkeypatch, tmp_path):
        monkeypatch.setattr(devices, "DRIVERS", (str(tmp_path / "nvidiactl"),))
        monkeypatch.setattr(sys, "platform", "linux")
        with pytest.raises(UsageError, match=rf"'{name}' \(no driver of a GPU is there\)"):
            check_device(name)
        (tmp_path / "nvidiactl").write_text("")
        check_device(name)  # only torch knows

    def test_unknown_kinds_are_left_to_packages_that_add_some(self, monkeypatch):
        with pytest.raises(UsageError, match=r"'npu:0' \(no kind of device\)"):
            check_device("npu:0")
        monkeypatch.setattr(devices, "entry_points", lambda group: [group])
        check_device("npu:0")
