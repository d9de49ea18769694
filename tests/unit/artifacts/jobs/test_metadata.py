"""Metadata of arrays: recorded when they are created, and restored where it has changed."""

from __future__ import annotations

import pytest

from ectool.artifacts.jobs import metadata

FORM = metadata.Form("heatmaps", 20, 8, {"schema": "heatmaps"})


@pytest.fixture
def created(make_arrays, tmp_path):
    arrays = {name: values[:8] for name, values in make_arrays().items()}
    metadata.create(tmp_path, arrays, FORM)
    return tmp_path


def test_what_was_created_is_recorded(created, tree):
    files = {name: data.decode() for name, data in tree(created / "store.zarr").items()}
    assert metadata.recorded(created) == files
    assert set(files) > {"zarr.json", "clean/zarr.json", "sample_id/zarr.json"}
    assert metadata.changed(created) == []


def test_what_has_changed_is_restored(created, tree):
    before = tree(created)
    (created / "store.zarr" / "clean" / "zarr.json").write_text("{}")
    (created / "store.zarr" / "zarr.json").unlink()
    assert metadata.changed(created) == ["clean/zarr.json", "zarr.json"]
    metadata.restore(created)
    assert tree(created) == before


def test_arrays_that_exist_are_restored_and_not_created_anew(created, make_arrays, tree):
    before = tree(created)
    (created / "store.zarr" / "label" / "zarr.json").write_bytes(b"")
    metadata.create(created, {"label": make_arrays()["label"]}, FORM)
    assert tree(created) == before


def test_the_chunks_of_a_shard(created):
    found = set(metadata.chunks(metadata.recorded(created), [2]))
    assert {"clean/c/2/0/0", "label/c/2", "logits_clean/c/2/0"} < found
    assert len(found) == 7
