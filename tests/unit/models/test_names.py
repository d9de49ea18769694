from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ectool.models.names import program_file, split_architecture


@pytest.mark.parametrize(
    ("architecture", "source", "name"),
    [
        ("resnet18", "", "resnet18"),
        ("timm:resnet18.a1_in1k", "timm", "resnet18.a1_in1k"),
        ("import:zoo.nets:make", "import", "zoo.nets:make"),
        ("torchscript:C:/nets/a.pt", "torchscript", "C:/nets/a.pt"),
        (":resnet18", "", "resnet18"),
        ("", "", ""),
    ],
)
def test_split_architecture(architecture, source, name):
    assert split_architecture(architecture) == (source, name)


@pytest.mark.parametrize(
    ("architecture", "file"),
    [
        ("torchscript:nets/a.pt", Path("nets/a.pt")),
        ("exported:a.pt2", Path("a.pt2")),
        ("resnet18", None),
        ("timm:resnet18", None),
    ],
)
def test_program_file(architecture, file):
    assert program_file(architecture) == file


def test_names_are_read_without_torch():
    code = "import sys, ectool.models.names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
