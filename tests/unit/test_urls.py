"""Addresses of other stores: told apart from paths, refused, and the paths they have here."""

from __future__ import annotations

from pathlib import Path

import pytest

from ectool.config import STAGES, ConvertConfig, ReportConfig
from ectool.errors import UsageError
from ectool.settings import resolve
from ectool.urls import local_path, mirror, place, scheme_of, shown, url_of


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("s3://bucket/w.zarr", "s3"),
        ("zarr:s3://bucket/w.zarr", "s3"),
        ("torchscript:gs://bucket/m.pt", "gs"),
        (Path("s3://bucket/w.zarr"), "s3"),
        (Path("s3:/bucket"), "s3"),
        ("zarr:/data/w.zarr", None),
        ("imagefolder:photos", None),
        ("Report on https://example.org", None),
        (Path("run/a:b/w.zarr"), None),
        (Path("w:zarr"), None),
        (Path("./s3:/bucket/w.zarr").absolute(), None),
        (3, None),
        (None, None),
    ],
)
def test_scheme(value, scheme):
    assert scheme_of(value) == scheme


@pytest.mark.parametrize(
    ("stage", "option", "value"),
    [
        ("score", "output", "foo://bucket/w.zarr"),
        ("score", "output", "foo:/bucket/w.zarr"),
        ("score", "heatmaps", Path("foo://bucket/w.zarr")),
        ("explain", "model", "foo://bucket/model"),
        ("explain", "data", "zarr:foo://bucket/w.zarr"),
        ("evaluate", "models", "a,foo://bucket/model"),
    ],
)
def test_unknown_schemes_are_refused(stage, option, value, tmp_path):
    match = rf"--{option} .*{str(value)[-12:]}: expected .*'foo'"
    with pytest.raises(UsageError, match=match):
        resolve(STAGES[stage], {option: value}, stage=stage, environ={})
    variable = f"ECTOOL_{stage}_{option}".upper()
    with pytest.raises(UsageError, match=match):
        resolve(STAGES[stage], {}, stage=stage, environ={variable: str(value)})
    toml = tmp_path / "c.toml"
    toml.write_text(f'[{stage}]\n{option} = "{value}"\n')
    with pytest.raises(UsageError, match=match):
        resolve(STAGES[stage], {}, stage=stage, environ={}, toml=toml)


def test_arguments_are_checked():
    with pytest.raises(UsageError, match="PATHS foo://b/x: expected"):
        resolve(ReportConfig, {"paths": [Path("a"), Path("foo://b/x")]}, stage="report", environ={})
    with pytest.raises(UsageError, match=r"TARGET foo://b/x\.h5: expected"):
        resolve(
            ConvertConfig,
            {"source": Path("a.zarr"), "target": Path("foo://b/x.h5")},
            stage="convert",
            environ={},
        )


@pytest.fixture(autouse=True)
def _unused():
    yield
    mirror.cache_clear()


@pytest.mark.parametrize(
    ("address", "got"),
    [
        ("s3://me:secret@bucket/w.zarr", "a user or a password in it"),
        ("s3://me@bucket/w.zarr", "a user or a password in it"),
        ("memory://bucket/w.zarr", "the unknown scheme 'memory'"),
        ("s3://", "no bucket"),
        ("s3:///w.zarr", "no bucket"),
        ("s3://bucket/../w.zarr", "one with `..`"),
        ("s3://bucket/w.zarr?versionId=1", r"one with .*`\?`"),
        ("gs://bucket/w.zarr", r"no such package; pip install 'gcsfs'"),
    ],
)
def test_invalid_addresses_are_refused(address, got):
    with pytest.raises(UsageError, match=got) as error:
        local_path(address, "--output")
    assert "secret" not in str(error.value)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("ectool.urls.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"no such package; pip install 'ectool\[s3\]'"):
        local_path("s3://bucket/w.zarr", "--output")


def test_addresses_have_paths_here():
    path = local_path("s3://bucket/run/w.zarr", "--output")
    assert path == local_path(Path("s3://bucket/run/w.zarr"), "--output")
    assert path == local_path("S3://bucket/run/w.zarr/", "--output")
    assert url_of(path) == "s3://bucket/run/w.zarr"
    assert shown(f"{path}: up to date, {path.parent}") == (
        "s3://bucket/run/w.zarr: up to date, s3://bucket/run"
    )
    assert place(Path("/run"), "s3://bucket/run/w.zarr") == path
    assert place(Path("/run"), "../w.zarr") == Path("/run/../w.zarr")
    assert url_of(Path("/run/w.zarr")) is None


def test_addresses_of_files_are_paths(tmp_path):
    assert local_path(f"file://{tmp_path}/w.zarr", "--output") == tmp_path / "w.zarr"
    config = resolve(
        STAGES["score"],
        {"heatmaps": f"file://{tmp_path}/h.zarr", "output": Path(f"file://{tmp_path}/w.zarr")},
        stage="score",
        environ={},
    )
    assert (config.heatmaps, config.output) == (tmp_path / "h.zarr", tmp_path / "w.zarr")


def test_data_keep_their_address():
    config = resolve(
        STAGES["evaluate"],
        {"data": "zarr:s3://bucket/d.zarr", "model": "s3://bucket/m", "output": "out"},
        stage="evaluate",
        environ={},
    )
    assert config.data == "zarr:s3://bucket/d.zarr"
    assert url_of(Path(config.model)) == "s3://bucket/m"
    with pytest.raises(UsageError, match="expected an address after zarr: only"):
        resolve(
            STAGES["evaluate"],
            {"data": "imagefolder:s3://bucket/d", "model": "m", "output": "out"},
            stage="evaluate",
            environ={},
        )
