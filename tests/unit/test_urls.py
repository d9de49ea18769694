"""Addresses of other stores are told apart from paths, and unknown ones refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ectool.config import STAGES, ConvertConfig, ReportConfig
from ectool.errors import UsageError
from ectool.settings import resolve
from ectool.urls import scheme_of


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
    with pytest.raises(UsageError, match="PATHS foo:/b/x: expected"):
        resolve(ReportConfig, {"paths": [Path("a"), Path("foo://b/x")]}, stage="report", environ={})
    with pytest.raises(UsageError, match=r"TARGET foo:/b/x\.h5: expected"):
        resolve(
            ConvertConfig,
            {"source": Path("a.zarr"), "target": Path("foo://b/x.h5")},
            stage="convert",
            environ={},
        )
