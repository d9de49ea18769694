"""Experiment and study files that come with ectool, found by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ectool import shipped
from ectool.cli.signature import describe_option
from ectool.config import RunConfig, ValidityConfig
from ectool.errors import InputError, UsageError
from ectool.settings import read_toml
from ectool.stages.run.plan import open_experiment
from ectool.stages.validity.plan import open_study

ROOT = Path(__file__).parents[2]


def test_names_are_those_of_the_checkout():
    files = sorted((ROOT / "pipelines").glob("*.toml"))
    assert shipped.names() == [file.stem for file in files]
    assert shipped.folder() == ROOT / "pipelines"


@pytest.mark.parametrize(
    ("model", "table", "opened"),
    [(RunConfig, "experiment", open_experiment), (ValidityConfig, "study", open_study)],
)
def test_every_name_in_the_help_opens(model, table, opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = describe_option(model, "file")[2]
    names = text.partition("one: ")[2].removesuffix(".").split(", ")
    assert names == shipped.names(table)
    for name in names:
        assert opened(model(file=Path(name))).folder == Path("run") / name


def test_a_file_of_that_name_is_preferred(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = shipped.folder() / "digits.toml"
    assert shipped.find(Path("digits")) == own
    Path("digits").mkdir()
    assert shipped.find(Path("digits")) == own
    Path("digits").rmdir()
    Path("digits").touch()
    assert shipped.find(Path("digits")) == Path("digits")


PATHS = ["./digits/", "digits.toml", "sub/digits", "/digits", "", "..", "x"]


@pytest.mark.parametrize("path", PATHS)
def test_paths_and_other_names_are_unchanged(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = shipped.folder() / "digits.toml" if path == "./digits/" else Path(path)
    assert shipped.find(Path(path)) == expected


def test_a_package_with_its_files_inside_uses_these(tmp_path, monkeypatch):
    inside = tmp_path / "ectool" / "pipelines"
    inside.mkdir(parents=True)
    (inside / "own.toml").write_text("[experiment]\n")
    monkeypatch.setattr(shipped.resources, "files", lambda _: inside.parent)
    assert shipped.names() == shipped.names("experiment") == ["own"]
    assert shipped.names("study") == []


@pytest.mark.parametrize(
    ("path", "fix"),
    [
        ("digit", "write `digits` for"),
        ("Digits", "write `digits` for"),
        ("digits.toml", "write `digits` for"),
        ("pipelines/stl-10.toml", "write `stl10` for"),
        ("mine.toml", "check the path"),
    ],
)
def test_a_near_name_is_proposed(path, fix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = "a TOML file, or one of the names ablation, .*, got No such"
    with pytest.raises(InputError, match=f"{path}: expected {expected} .*; {fix}"):
        read_toml(Path(path))


def test_the_other_command_is_named():
    with pytest.raises(UsageError, match="call `ectool validity validity`"):
        open_experiment(RunConfig(file=Path("validity")))
    with pytest.raises(UsageError, match="call `ectool run digits`"):
        open_study(ValidityConfig(file=Path("digits")))
