"""Code of the user's own is an input like any other."""

from __future__ import annotations

import sys

import pytest

from ectool.config import TrainConfig
from ectool.errors import InputError
from ectool.stages.common.code import check_named, check_trusted, code_digest, imported_module


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "key_net.py").write_text("import key_layers\nfrom key_package import parts\n")
    (tmp_path / "key_layers.py").write_text("WIDTH = 3\n")
    (tmp_path / "key_other.py").write_text("WIDTH = 3\n")
    (tmp_path / "key_package").mkdir()
    (tmp_path / "key_package" / "__init__.py").write_text("")
    (tmp_path / "key_package" / "parts.py").write_text("DEPTH = 2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("file", ["key_net.py", "key_layers.py", "key_package/parts.py"])
def test_every_file_that_a_module_reaches_counts(folder, file):
    before = code_digest("key_net")
    assert code_digest("key_net") == before
    path = folder / file
    path.write_text(path.read_text() + "# changed\n")
    assert code_digest("key_net") != before


def test_others_and_the_place_do_not(folder, tmp_path_factory, monkeypatch):
    before = code_digest("key_net")
    (folder / "key_other.py").write_text("WIDTH = 4\n")
    assert code_digest("key_net") == before
    moved = folder.rename(tmp_path_factory.mktemp("moved") / "here")
    monkeypatch.chdir(moved)
    assert code_digest("key_net") == before


def test_code_that_is_gone_is_named(folder):
    with pytest.raises(InputError, match=r"module key_gone\.net: expected code that can be found"):
        code_digest("key_gone.net")


def test_the_module_is_read_from_the_architecture():
    assert imported_module("import:nets.small:make") == "nets.small"
    assert imported_module("resnet18") is None


@pytest.mark.parametrize(
    ("architecture", "file"),
    [
        ("import:key_net:make", "key_net.py"),
        ("import:key_package.parts:make", "key_package/parts.py"),
        ("import:key_package:make", "key_package/__init__.py"),
        ("torchscript:key.pt", "key.pt"),
        ("exported:key.pt2", "key.pt2"),
    ],
)
def test_code_that_a_file_names_needs_trust(folder, architecture, file):
    message = rf"where: expected a .* would run {folder / file}; look at .* --trust-code"
    with pytest.raises(InputError, match=message):
        check_trusted(architecture, "where", trust_code=False)
    check_trusted(architecture, "where", trust_code=True)
    assert "key_net" not in sys.modules


def test_networks_without_code_need_none():
    for architecture in ("resnet18", "timm:resnet18", "openclip:ViT-B-32"):
        check_trusted(architecture, "where", trust_code=False)


def test_a_name_of_the_command_line_names_its_code(folder):
    options = TrainConfig(model="import:key_net:make", output=folder)
    check_named(options, "c.toml", {"model"})
    with pytest.raises(InputError, match=r"c\.toml: expected a network without code of its own"):
        check_named(options, "c.toml", {"output"})
