"""Artifacts in a store: published last, continued, replaced, and read as local ones."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import numpy as np
import pytest
import zarr

from ectool.artifacts import folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.chunks.seal import checksum
from ectool.artifacts.jobs import states
from ectool.artifacts.jobs.reopening import reopen
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import up_to_date
from ectool.config import VerifyConfig
from ectool.errors import InputError, IntegrityError, OutputExistsError
from ectool.remote import outputs, reading
from ectool.remote.commands import prepare
from ectool.stages.tools import verify

from .conftest import OTHER, RECIPE, ROWS, SHARD, StoppedError, rows_of, write


def names(store):
    return sorted(name.removeprefix("/bucket/") for name in store.store)


def contents(path):
    with Artifact(path) as artifact:
        assert artifact.verify() == []
        return artifact.id, {name: artifact.read(name).tolist() for name in artifact.columns}


@pytest.mark.parametrize("suffix", [".zarr", ".h5"])
def test_equals_a_local_artifact(suffix, path, begin, tmp_path):
    local = tmp_path / f"w{suffix}"
    write(local)
    write(path(f"run/w{suffix}"))
    begin()
    assert contents(path(f"run/w{suffix}")) == contents(local)


def verified(folder):
    """Return the states of what is below an address, as `ectool verify` of a new process."""
    config = VerifyConfig(paths=(folder,))
    prepare(config, is_alone=True)
    try:
        return verify.run(config).document["summary"]
    except IntegrityError as error:
        return error.result.document["summary"]


def test_everything_below_an_address_is_verified(path, begin, store):
    for name in ("w.zarr", "w.h5"):
        write(path(f"run/{name}"))
    begin()
    assert verified(path("run")) == {"intact": 2, "damaged": 0, "incomplete": 0, "unknown": 0}
    for suffix in ("zarr", "h5"):
        of_one = [name for name in store.store if f"/w.{suffix}" in name]
        largest = max(of_one, key=lambda name: store.size(name))
        data = bytearray(store.cat_file(largest))
        data[len(data) // 2] ^= 1
        store.pipe_file(largest, bytes(data))
    begin()
    assert verified(path("run")) == {"intact": 0, "damaged": 2, "incomplete": 0, "unknown": 0}


def test_local_and_remote_manifests_are_the_same_bytes(path, begin, tmp_path):
    write(tmp_path / "w.zarr")
    write(path("w.zarr"))
    begin()
    reading.look(path("w.zarr"))
    assert (path("w.zarr") / "manifest.json").read_bytes() == (
        tmp_path / "w.zarr/manifest.json"
    ).read_bytes()


@pytest.mark.parametrize("suffix", [".zarr", ".h5"])
def test_an_unfinished_output_cannot_be_seen(suffix, path, begin, store):
    with pytest.raises(StoppedError):
        write(path(f"w{suffix}"), until=1)
    assert sum(name.endswith(".shard") for name in names(store)) == 1
    begin()
    with pytest.raises(InputError, match="got no such file"):
        Artifact(path(f"w{suffix}"))


@pytest.mark.parametrize("suffix", [".zarr", ".h5"])
def test_goes_on_on_another_machine(suffix, path, begin, store, tmp_path):
    write(tmp_path / f"w{suffix}")
    with pytest.raises(StoppedError):
        write(path(f"w{suffix}"), until=2)
    begin()
    assert write(path(f"w{suffix}")) == 1
    assert [name for name in names(store) if name.endswith((".shard", ".lock"))] == []
    begin()
    assert contents(path(f"w{suffix}")) == contents(tmp_path / f"w{suffix}")


@pytest.mark.parametrize("keep", [slice(0, 100), slice(0, -1), slice(1, None)])
def test_damaged_shards_are_computed_again(keep, path, begin, store):
    with pytest.raises(StoppedError):
        write(path("w.zarr"), until=2)
    name = next(name for name in store.store if name.endswith("000001.shard"))
    store.pipe_file(name, store.cat_file(name)[keep])
    begin()
    assert write(path("w.zarr")) == 2


def test_large_shards_stay_objects_and_are_read_in_parts(path, begin, store, monkeypatch):
    monkeypatch.setattr("ectool.remote.writing.SMALL", 0)
    write(path("w.zarr"))
    assert [name[-12:] for name in names(store)][:3] == [f"{n:06d}.shard" for n in range(3)]
    begin()
    monkeypatch.setattr(reading, "WHOLE", 0)
    with Artifact(path("w.zarr")) as artifact:
        found = artifact.read("clean")
    np.testing.assert_array_equal(
        found, np.concatenate([rows_of(n, min(n + SHARD, ROWS))["clean"] for n in (0, 4, 8)])
    )
    files = [one for one in path("w.zarr").rglob("*") if "/c/" in str(one) and one.is_file()]
    assert {one.relative_to(path("w.zarr")).parts[0] for one in files} == {"clean"}


def test_other_programs_open_the_references(path, store):
    write(path("w.zarr"))
    system = fsspec.filesystem(
        "reference", fo="memory://bucket/w.zarr/index.json", remote_protocol="memory"
    )
    chunk = system.cat_file("clean/c/1/0/0")
    reading.look(path("w.zarr"))
    assert chunk == (path("w.zarr") / "clean/c/1/0/0").read_bytes()
    assert json.loads(system.cat_file("zarr.json"))["attributes"]["schema"] == "heatmaps"


def test_another_key_is_refused_and_with_force_moved_aside(path, begin, store):
    write(path("w.zarr"))
    begin()
    with pytest.raises(OutputExistsError, match="got another one"):
        up_to_date(path("w.zarr"), OTHER, force=False)
    assert not up_to_date(path("w.zarr"), OTHER, force=True)
    with pytest.raises(StoppedError):
        write(path("w.zarr"), OTHER, until=1)
    begin()
    assert contents(path("w.zarr"))[0]  # the old one, which is readable until the new one is there
    with Artifact(path("w.zarr")) as artifact:
        assert artifact.manifest.key == RECIPE.key
    begin()
    assert not up_to_date(path("w.zarr"), OTHER, force=True)
    write(path("w.zarr"), OTHER)
    begin()
    for name, recipe in (("w.zarr", OTHER), (f"w.zarr.old-{RECIPE.key[:8]}", RECIPE)):
        reading.look(path(name))
        assert reading.published(path(name)).index.key == recipe.key
        assert (path(name) / "manifest.json").exists()


def test_the_replaced_file_stays(path, begin, store):
    write(path("w.h5"))
    begin()
    assert not up_to_date(path("w.h5"), OTHER, force=True)
    write(path("w.h5"), OTHER)
    old = next(name for name in names(store) if ".old-" in name)
    begin()
    with Artifact(path(old)) as artifact:
        assert artifact.manifest.key == RECIPE.key


def test_damaged_objects_are_found_and_repaired(path, begin, store):
    write(path("w.zarr"))
    before = contents(path("w.zarr"))
    (name,) = (name for name in store.store if name.endswith(".files"))
    data = bytearray(store.cat_file(name))
    data[10] ^= 255
    store.pipe_file(name, bytes(data))
    begin()
    with Artifact(path("w.zarr")) as artifact, pytest.raises(IntegrityError, match="shard 0 of"):
        [artifact.read(column) for column in artifact.columns]
    begin()
    reading.fresh(path("w.zarr"))
    reading.look(path("w.zarr"))
    assert reopen(path("w.zarr"), RECIPE, shard_size=SHARD) == [0]
    assert write(path("w.zarr")) == 1
    assert name not in store.store
    begin()
    assert contents(path("w.zarr")) == before


def test_a_missing_object_is_named(path, begin, store):
    write(path("w.zarr"))
    (name,) = (name for name in store.store if name.endswith(".files"))
    store.rm_file(name)
    begin()
    with Artifact(path("w.zarr")) as artifact, pytest.raises(IntegrityError, match="got no object"):
        artifact.read("clean")


def test_folders_are_published(path, begin, store, tmp_path):
    recipe = Recipe(kind="model", stage="train", config={})
    with folder.building(path("model"), recipe) as partial:
        partial.store.mkdir()
        written = {"model.json": b"{}", "weights": b"\0" * 1000}
        for name, data in written.items():
            (partial.store / name).write_bytes(data)
        partial.publish({name: checksum(data).hex() for name, data in written.items()})
    begin()
    manifest = folder.open_folder(path("model"), "model")
    for name in manifest.files:
        folder.verify_file(path("model") / name, manifest)


def test_the_last_state_of_a_folder_is_restored(path, begin, store):
    recipe = Recipe(kind="model", stage="train", config={})
    with folder.building(path("model"), recipe) as partial:
        for epoch in (1, 2):
            state = partial.scratch / f"epoch-{epoch}"
            state.mkdir()
            (state / "weights").write_bytes(bytes([epoch]))
            states.finish(state, {"weights": checksum(bytes([epoch])).hex()}, {})
            partial.save(state)
    begin()
    with folder.building(path("model"), recipe) as partial:
        assert (partial.scratch / "epoch-2/weights").read_bytes() == b"\2"
        assert not (partial.scratch / "epoch-1").exists()


def test_plain_zarr_of_other_programs_is_read(path, store, begin, tmp_path):
    write(tmp_path / "w.zarr")
    for file in (tmp_path / "w.zarr").rglob("*"):
        if file.is_file():
            name = file.relative_to(tmp_path).as_posix()
            store.pipe_file(f"/bucket/{name}", file.read_bytes())
    assert contents(path("w.zarr")) == contents(tmp_path / "w.zarr")


def test_reports_hold_addresses(path, store):
    page = path("page.html")
    page.parent.mkdir(parents=True)
    page.write_text(f"from {path('run/w.zarr')} & é")
    outputs.send(page)
    assert store.cat_file("/bucket/page.html").decode() == "from memory://bucket/run/w.zarr & é"


def test_local_outputs_have_no_remote_side(tmp_path):
    with outputs.uploading(Path("w.zarr"), "key") as upload:
        assert upload is None
    outputs.send(tmp_path)


def test_zarr_reads_the_mirror(path, begin):
    write(path("w.zarr"))
    begin()
    with Artifact(path("w.zarr")) as artifact:
        artifact.read("clean")
    assert zarr.open_group(path("w.zarr"), mode="r")["clean"].shape == (ROWS, 4, 4)
