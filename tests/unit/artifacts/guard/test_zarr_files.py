"""Hostile Zarr folders: one line, no byte of another folder, no memory for what is not there."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import zarr
from numcodecs.blosc import Blosc
from numcodecs.zstd import Zstd

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.chunks.seal import ChunkError
from ectool.artifacts.chunks.single_rows import SingleRows
from ectool.errors import EctoolError, InputError, IntegrityError

ROWS = 20


@pytest.fixture
def foreign(make_arrays, tmp_path):
    """Return heatmaps as another program writes them."""
    group = zarr.create_group(tmp_path / "a.zarr", attributes={"schema": "heatmaps"})
    for name, values in make_arrays(ROWS).items():
        group.create_array(name, data=values)
    return tmp_path / "a.zarr"


def change(path, **values):
    file = path / "zarr.json"
    file.write_text(json.dumps(json.loads(file.read_bytes()) | values))


def grid(*sides):
    return {"name": "regular", "configuration": {"chunk_shape": list(sides)}}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"shape": [10**12], "chunk_grid": grid(10**6)}, "bytes declared"),
        ({"shape": [-1]}, "sides that are not between 0 and"),
        ({"shape": [10**30]}, "a number of more than 64 bits"),
        ({"chunk_grid": grid(0)}, "sides that are not between 1 and"),
        ({"chunk_grid": grid(4, 4)}, "chunks of other dimensions"),
        ({"codecs": [{"name": "numcodecs.pickle"}]}, "the codec numcodecs.pickle, which is not"),
        ({"storage_transformers": [{"name": "x"}]}, "storage transformers"),
        ({"attributes": {"a": float("nan")}}, "NaN"),
    ],
)
def test_metadata_that_are_not_what_they_seem(foreign, values, reason):
    change(foreign / "label", **values)
    with pytest.raises(InputError, match=f"label: .* got .*{reason}"):
        Artifact(foreign)


def test_ids_of_more_rows_than_their_bytes_can_tell_apart(foreign):
    change(foreign / "sample_id", shape=[10**12], chunk_grid=grid(10**9))
    with pytest.raises(InputError, match=r"sample_id: .* got .* (declared|stored)"):
        Artifact(foreign)


def test_a_chunk_that_grows_beyond_its_shape(foreign):
    (file,) = (path for path in (foreign / "label/c").rglob("*") if path.is_file())
    file.write_bytes(Zstd(1).encode(bytes(2**28)))
    with (
        Artifact(foreign) as artifact,
        pytest.raises(IntegrityError, match=r"label.*268435456 bytes in place of the 164"),
    ):
        artifact.read("label")


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("part", ["clean", "clean/c", "clean/zarr.json", "clean/c/0"])
def test_links_lead_nowhere_else(foreign, write, make_arrays, tmp_path, ours, part):
    path = write(tmp_path / "b.zarr", make_arrays()) if ours else foreign
    (path / part).rename(tmp_path / "elsewhere")
    (path / part).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EctoolError, match=r"clean`?: .* got .*(link out of the folder|none)"):  # noqa: SIM117
        with Artifact(path) as artifact:
            artifact.read("clean")


def test_a_pipe_is_not_waited_for(write, make_arrays, tmp_path):
    path = write(tmp_path / "b.zarr", make_arrays())
    chunk = path / "label/c/0"
    chunk.unlink()
    os.mkfifo(chunk)
    with Artifact(path) as artifact, pytest.raises(IntegrityError, match="0 is no regular file"):
        artifact.read("label")


def test_groups_in_each_other_have_an_end(foreign):
    place = foreign
    for _ in range(12):
        place = place / "g"
        place.mkdir()
        (place / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(InputError, match="more than 8 groups in each other"):
        Artifact(foreign)


def test_a_chunk_of_version_2_that_is_not_what_it_declares(make_arrays, tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2, attributes={"schema": "heatmaps"})
    for name, values in make_arrays(ROWS).items():
        group.create_array(name, shape=values.shape, dtype=values.dtype)[:] = values
    chunk = tmp_path / "a.zarr/label/0"
    for data, reason in (
        (Blosc().encode(bytes(2**20)), "1048576 bytes in place of the 164"),
        (chunk.read_bytes()[:-1], "a chunk of blosc that is not"),
    ):
        chunk.write_bytes(data)
        with (
            Artifact(tmp_path / "a.zarr") as artifact,
            pytest.raises(IntegrityError, match=f"label.*{reason}"),
        ):
            artifact.read("label")


def test_version_2_does_not_run_code_of_a_codec(make_arrays, tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2, attributes={"schema": "heatmaps"})
    for name, values in make_arrays(ROWS).items():
        group.create_array(name, shape=values.shape, dtype=values.dtype)[:] = values
    file = tmp_path / "a.zarr/sample_id/.zarray"
    file.write_text(json.dumps(json.loads(file.read_bytes()) | {"filters": [{"id": "pickle"}]}))
    with pytest.raises(InputError, match=r"sample_id: .* the codec pickle, which is not read"):
        Artifact(tmp_path / "a.zarr")


def test_declared_zeros_of_a_forged_frame_are_not_allocated(write, make_arrays, tmp_path):
    from ectool.artifacts.chunks.seal import checksum

    path = write(tmp_path / "b.zarr", make_arrays())
    frame = bytearray(Zstd(1).encode(np.zeros(300, np.uint8)))
    frame[5:9] = b"\xff\xff\xff\xff"
    (path / "label/c/0").write_bytes(bytes(frame) + checksum(bytes(frame)))
    with Artifact(path) as artifact, pytest.raises(IntegrityError, match="in place of the 64"):
        artifact.read("label")


def test_single_rows_are_not_read_through_a_link(tmp_path):
    folder = tmp_path / "difference"
    (folder / "c/0").mkdir(parents=True)
    (tmp_path / "elsewhere").write_bytes(bytes(100))
    (folder / "c/0/0").symlink_to(tmp_path / "elsewhere")
    rows = SingleRows(folder, "difference", length=2, rows=2, width=4)
    with pytest.raises(ChunkError, match="chunk 0 cannot be read: a link out of the folder"):
        rows.read(0, 2)
