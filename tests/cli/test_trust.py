"""No command runs code that only a file names, unless the user trusts it."""

from __future__ import annotations

import shutil

import pytest

from ectool.config import TrainConfig
from ectool.stages import train

NETWORK = """
import pathlib
from torch import nn

pathlib.Path("ran").touch()

class Net(nn.Sequential):
    def __init__(self, num_classes=2):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.append(nn.Linear(4, num_classes))
"""
NAME = "import:hidden.net:Net"


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    """Return a folder with a module, and a model artifact of its network."""
    place = tmp_path_factory.mktemp("trained")
    (place / "hidden").mkdir()
    (place / "hidden" / "net.py").write_text(NETWORK)
    data = {"data": f"imagefolder:{images}", "size": 16, "device": "cpu"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        train.run(TrainConfig(model=NAME, epochs=2, until_epoch=1, output=place / "model", **data))
    assert ran(place)
    return place


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    """Return a working folder of this test with the module and the model."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options(images):
    return ("--data", f"imagefolder:{images}", "--size", 16, "--device", "cpu")


def ran(folder):
    """Return whether the module has run since the last question."""
    mark = folder / "ran"
    found = mark.exists()
    mark.unlink(missing_ok=True)
    return found


COMMANDS = (
    "explain --model model --split all --output c.zarr",
    "perturb --model model --split all --output a.zarr",
    "evaluate --model model --suite classification --split all --output e",
    "train --model model --epochs 1 --output m",
    "train --resume model --output n",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_artifact(run, images, here, command):
    done = run(*command.split(), *options(images))
    assert (done.code, done.out) == (3, b"")
    assert f"got {NAME}, which would run {here / 'hidden' / 'net.py'}; look at" in done.line
    assert done.line.endswith("if you trust it, give --trust-code")
    assert not ran(here)


@pytest.mark.parametrize("command", COMMANDS[2:])
def test_a_trusted_artifact(run, images, here, command):
    done = run(*command.split(), *options(images), "--trust-code")
    assert (done.code, done.err) == (0, done.err)
    assert ran(here)


def test_many_artifacts(run, images, here):
    given = ("--models", "mod*,other", "--split", "all", "--output", "e")
    done = run("evaluate", *given, *options(images))
    assert done.code == 3
    assert str(here / "hidden" / "net.py") in done.err
    assert not ran(here)


def test_a_named_network_is_continued(run, images, here):
    given = ("--model", NAME, *options(images), "--epochs", 2)
    assert run("train", *given, "--resume", "model", "--output", "m").code == 0


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("train --config c.toml --output m", '[train]\nmodel = "{}"\n'),
        ("run c.toml", '[train]\nmodel = "{}"\n[experiment.arms.a]\n[experiment.arms.b]\n'),
        ("validity c.toml", '[train]\nmodel = "{}"\nepochs = 30\n[study]\n'),
    ],
)
def test_a_toml_file(run, here, command, text):
    (here / "c.toml").write_text(text.format(NAME))
    done = run(*command.split())
    assert (done.code, done.out) == (3, b"")
    assert "c.toml: [train] model: expected a network without code" in done.line
    assert f"which would run {here / 'hidden' / 'net.py'}" in done.line
    assert not ran(here)
    for name in ("trust_code", "trust-code"):
        (here / "c.toml").write_text(f"[defaults]\n{name} = true\n" + text.format(NAME))
        done = run(*command.split())
        assert (done.code, done.out) == (2, b"")
        assert f"c.toml: {name}: expected no such entry" in done.line
    assert not ran(here)


@pytest.mark.parametrize("kind", ["torchscript", "exported"])
def test_a_program(run, images, here, kind):
    (here / "net.pt").write_bytes(b"PK")
    given = ("--split", "all", "--output", "e", *options(images))
    done = run("evaluate", "--model", f"{kind}:net.pt", *given)
    assert (done.code, done.out) == (3, b"")
    assert f"which would run {here / 'net.pt'}" in done.line
    done = run("evaluate", "--model", f"{kind}:net.pt", *given, "--trust-code")
    assert done.code == 3  # it is none
    assert "which would run" not in done.line


def test_a_list_cannot_ask_for_trust(run, images, here):
    (here / "models.csv").write_text(f"name,model,trust_code\na,{NAME},true\n")
    done = run("evaluate", "--models", "models.csv", "--output", "e", *options(images))
    assert (done.code, done.out) == (2, b"")
    assert "models.csv, line 2: trust_code: expected no such entry" in done.line


def test_a_variable(run, images, here, monkeypatch):
    monkeypatch.setenv("ECTOOL_EVALUATE_TRUST_CODE", "true")
    done = run(*COMMANDS[2].split(), *options(images))
    assert (done.code, done.err) == (0, done.err)
