"""How the files of an output are distributed over objects."""

from __future__ import annotations

import pytest

from ectool.errors import InputError
from ectool.remote import objects, reading
from ectool.remote.outputs import uploading
from ectool.remote.writing import Identity

IDENTITY = Identity("model", "k" * 64, "i" * 64)


def publish(output, sizes):
    """Publish a folder of files of some sizes."""
    with uploading(output, IDENTITY.key) as upload:
        for name, size in sizes.items():
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_bytes(b"x" * size)
        upload.publish(IDENTITY)


def test_small_files_share_objects(path, store, monkeypatch):
    monkeypatch.setattr(reading, "WHOLE", 10)
    publish(path("m"), {"a": 4, "b": 5, "c": 11, "d": 1, "e.json": 2})
    reading.look(path("m"))
    generation = "k" * 16
    files = [f"{generation}/{number:06d}.files" for number in (0, 2, 3)]
    assert sorted(objects.sizes("memory://bucket/m")) == ["index.json", *files]


def test_a_generation_is_used_once(path, store, begin):
    for number in (1, 2, 3):
        begin()
        publish(path("m"), {"a": number})
        assert store.cat_file(f"/bucket/m/{'k' * 16}{['', '-2', '-3'][number - 1]}/000000.files")
        assert len(objects.sizes("memory://bucket/m")) == 2


def test_errors_of_threads_are_raised(path, store, monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise PermissionError("Forbidden")

    (tmp_path / "a").write_bytes(b"x")
    path("m").mkdir(parents=True)
    with uploading(path("m"), IDENTITY.key) as upload:
        monkeypatch.setattr(type(store), "pipe_file", refuse)
        upload.shard(0, tmp_path, ["a"])
        with pytest.raises(InputError, match="expected the permission s3:PutObject"):
            upload.publish(IDENTITY)
