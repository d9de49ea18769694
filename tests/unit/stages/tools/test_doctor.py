"""`doctor` on a working installation and on broken ones."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision.ops

from ectool.config import DoctorConfig
from ectool.errors import InputError
from ectool.stages.tools import doctor


def test_versions_and_devices_are_listed(monkeypatch, tmp_path):
    monkeypatch.setenv("ECTOOL_DATA", str(tmp_path))
    found = doctor.run(DoctorConfig())
    assert found["python"] == platform.python_version()
    assert found["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert found["versions"]["torchvision"] == torchvision.__version__.partition("+")[0]
    assert found["data_root"] == str(tmp_path)
    assert (Path(found["pipelines"]) / "digits.toml").is_file()
    assert found["torchvision_matches_torch"]
    assert found["devices"][0] == "cpu"
    assert found["threads"] == torch.get_num_threads()


BROKEN = {
    "raise RuntimeError('operator torchvision::nms does not exist\\nmore')": "operator torchvision",
    "raise ImportError('built for another torch')": "built for another torch",
    "raise OSError('libcudart.so: no such file')": "libcudart.so: no such file",
    "raise RuntimeError": "RuntimeError",
    "": "module 'torchvision.ops' has no attribute 'nms'",
}


@pytest.mark.parametrize("code", BROKEN)
def test_a_torchvision_that_does_not_fit_is_one_line(code, monkeypatch, tmp_path):
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "ops.py").write_text(code)
    for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError) as stop:
        doctor.run(DoctorConfig())
    message = str(stop.value)
    assert message.startswith("torch and torchvision: expected a pair built for each other, got")
    assert BROKEN[code] in message
    assert "\n" not in message


def test_without_torch_the_command_ends_with_code_3(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch today')")
    done = subprocess.run(
        [sys.executable, "-m", "ectool", "doctor"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "got no torch today; install both in one command" in done.stderr
