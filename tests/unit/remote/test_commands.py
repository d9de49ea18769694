"""Options that are addresses: refused where nothing can be written."""

from __future__ import annotations

import pytest

from ectool import urls
from ectool.config import RunConfig, ScoreConfig, TrainConfig, ValidityConfig
from ectool.errors import UsageError
from ectool.remote import session
from ectool.remote.commands import finish, prepare
from ectool.settings import resolve


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(urls.CACHE_VARIABLE, str(tmp_path))
    urls.mirror.cache_clear()
    session.begin.cache_clear()
    yield
    urls.mirror.cache_clear()
    session.begin.cache_clear()


def test_a_store_that_can_only_be_read_is_no_output():
    given = {"heatmaps": "h.zarr", "output": "https://example.org/w.zarr"}
    config = resolve(ScoreConfig, given, stage="score", environ={})
    match = "--output https://example.org/w.zarr: expected a store that can be written"
    with pytest.raises(UsageError, match=match):
        prepare(config, is_alone=True)


@pytest.mark.parametrize(("model", "stage"), [(RunConfig, "run"), (ValidityConfig, "validity")])
def test_whole_experiments_are_local(model, stage):
    config = resolve(model, {"file": "digits", "output": "s3://b/r"}, stage=stage, environ={})
    with pytest.raises(UsageError, match="--output s3://b/r: expected a local folder"):
        prepare(config, is_alone=True)


def test_local_options_need_no_store(tmp_path):
    config = resolve(ScoreConfig, {"heatmaps": tmp_path}, stage="score", environ={})
    prepare(config, is_alone=True)
    finish(config, None)
    assert list(tmp_path.iterdir()) == []


def test_several_processes_have_a_local_output():
    given = {"output": "s3://b/m", "nproc": 2}
    config = resolve(TrainConfig, given, stage="train", environ={})
    with pytest.raises(UsageError, match="--output s3://b/m: expected one process"):
        prepare(config, is_alone=True)
