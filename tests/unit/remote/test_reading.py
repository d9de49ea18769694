"""Looking at addresses, and copies that stay."""

from __future__ import annotations

import pytest

from ectool import urls
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.store import read_manifest
from ectool.remote import copies, objects, reading, session

from .conftest import write


def again():
    """Begin another process on the same machine."""
    for known in (urls.mirror, session.begin):
        known.cache_clear()
    reading._mirrored.clear()
    reading._looked.clear()


def test_the_second_reader_asks_for_the_pointer_only(path, store, begin, monkeypatch):
    write(path("w.zarr"))
    begin()
    with Artifact(path("w.zarr")) as artifact:
        first = artifact.read("clean")
    again()
    asked = []
    system = type(objects._system("memory"))
    read = system.cat_file
    monkeypatch.setattr(system, "cat_file", lambda *a, **k: asked.append(a[1]) or read(*a, **k))
    with Artifact(path("w.zarr")) as artifact:
        assert artifact.read("clean").tolist() == first.tolist()
    assert asked == ["memory://bucket/w.zarr/index.json"]


def test_fresh_readers_use_no_copies(path, store, begin):
    write(path("w.zarr"))
    begin()
    with Artifact(path("w.zarr")) as artifact:
        artifact.read("clean")
    for copy in (urls.cache_folder() / "artifacts").rglob("c/*/*/*"):
        copy.write_bytes(b"changed")
    again()
    reading.fresh(path("w.zarr"))
    with Artifact(path("w.zarr")) as artifact:
        assert artifact.verify() == []


def test_artifacts_below_an_address_are_found(path, store, begin):
    write(path("run/a.zarr"))
    write(path("run/b/c.zarr"))
    store.pipe_file("/bucket/run/notes.txt", b"x")
    begin()
    reading.look(path("run"))
    assert sorted(one.name for one in path("run").iterdir()) == ["a.zarr", "b", "notes.txt"]
    assert read_manifest(path("run/b/c.zarr")).kind == "heatmaps"
    assert reading.is_copy(path("run/notes.txt"))


def test_other_paths_are_left_alone(tmp_path):
    reading.look(tmp_path / "w.zarr")
    assert not reading.need(tmp_path / "w.zarr/c/0")
    reading.distrust(tmp_path / "w.zarr")


@pytest.mark.usefixtures("store")
def test_nothing_is_there(path):
    reading.look(path("none.zarr"))
    assert not path("none.zarr").exists()
    assert not reading.need(path("none.zarr/c/0"))


def test_only_pieces_of_the_arrays_are_read(path, store, begin, monkeypatch):
    write(path("w.zarr"))
    begin()
    monkeypatch.setattr(copies, "SIZE", 64)
    asked = set()
    read = objects.read_part
    monkeypatch.setattr(objects, "read_part", lambda *p: asked.add(p[1]) or read(*p))
    with Artifact(path("w.zarr")) as artifact:
        shards = [arrays["clean"] for _, arrays in artifact.iterate(["clean"])]
    spans = reading.published(path("w.zarr")).spans
    places = [place for name, place in spans.items() if name.startswith("clean/")]
    assert len(places) == len(shards)
    assert asked == {64 * number for place in places for number in copies.numbers(place)}
    assert not any((reading.published(path("w.zarr")).folder / name).exists() for name in spans)
