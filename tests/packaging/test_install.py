"""The wheel and the source archive: what they hold, and that an installation needs nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def build(kind: str, source: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    [built] = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def files(*folders: str) -> set[str]:
    tracked = subprocess.run(
        ["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("no git checkout")
    return set(tracked.stdout.splitlines())


def test_the_wheel_holds_the_package_and_the_pipelines(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert names >= files("ectool")
        assert names - files("ectool") >= {f"ectool/{name}" for name in files("pipelines")}
        shared = {name for name in names if not name.startswith("ectool/")}
        assert {name.rpartition("/")[2] for name in shared} == {"ectool.1"}
        [file] = [name for name in archive.namelist() if name.endswith("dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(file).decode())
    links = dict(text.split(", ") for text in metadata.get_all("Project-URL"))
    assert set(links) >= {"Homepage", "Source", "Issues", "Changelog"}
    assert "proves" not in metadata["Summary"]
    assert {"test", "timm"} <= set(metadata.get_all("Provides-Extra"))


def test_the_oldest_pair_is_that_of_the_metadata():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints-oldest.txt").read_text().splitlines()
    pair = [line.replace("==", ">=").removesuffix(".0") for line in lines if line[0] != "#"]
    assert [name.partition(">")[0] for name in pair] == ["torch", "torchvision"]
    assert set(pair) <= set(project["dependencies"])


def test_the_container_copies_what_exists():
    lines = (ROOT / "Containerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ")]
    names = {name for names in copied for name in names if not names[0].startswith("--from")}
    assert len(names) > 4
    assert [name for name in names if not (ROOT / name).exists()] == []


@pytest.mark.slow
def test_the_source_archive_builds_the_same_wheel(wheel, tmp_path):
    archive = build("sdist", ROOT, tmp_path / "sdist")
    with tarfile.open(archive) as tar:
        assert all(".venv" not in name for name in tar.getnames())
        tar.extractall(tmp_path / "unpacked", filter="data")
    [source] = (tmp_path / "unpacked").iterdir()
    again = build("wheel", source, tmp_path / "wheel")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert set(first.namelist()) == set(second.namelist())


@pytest.fixture(scope="module")
def ectool(wheel, tmp_path_factory) -> Path:
    """Return the command of a new environment; dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    # Paths in a .pth file are not searched for .pth files, so an editable ectool is not found.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin/ectool"


@pytest.mark.slow
class TestInstalled:
    """In a new environment and an empty folder, without the checkout."""

    @pytest.fixture
    def call(self, ectool, tmp_path):
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        environment["ECTOOL_DATA"] = str(tmp_path / "data")
        folder = tmp_path / "empty"
        folder.mkdir()

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [ectool, *arguments],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )

        run.folder = folder
        return run

    def test_the_pipelines_are_those_of_the_installation(self, call, ectool):
        found = json.loads(call("doctor", "--json").stdout)
        assert Path(found["pipelines"]).is_relative_to(ectool.parents[1])

    def test_an_experiment_runs_by_its_name(self, call):
        done = call("run", "digits", "--miniature", "--device", "cpu")
        assert done.returncode == 0, done.stderr
        assert done.stdout == "run/digits-miniature\n"
        assert (call.folder / "run/digits-miniature/report.html").is_file()

    def test_a_near_name_is_proposed(self, call):
        done = call("run", "digit")
        assert done.returncode == 3
        assert "one of the names ablation, cub200, digits, " in done.stderr
        assert "write `digits` for" in done.stderr

    def test_a_stage_takes_the_options_of_a_pipeline(self, call):
        arguments = ["--epochs", "1", "--limit", "64", "--output", "model"]
        done = call("train", "--config", "digits", *arguments)
        assert done.returncode == 0, done.stderr
        assert json.loads((call.folder / "model/manifest.json").read_text())
