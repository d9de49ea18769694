"""Hostile HDF5 files: one line, and no byte of another file."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.hdf5_store import Hdf5Store
from ectool.errors import InputError, IntegrityError

ROWS = 20


def heatmaps(path, make_arrays, **changed):
    """Write foreign heatmaps; each change makes one array in its own way."""
    with h5py.File(path, "w") as file:
        file.attrs["schema"] = "heatmaps"
        for name, values in make_arrays(ROWS).items():
            if name in changed:
                changed[name](file, name)
            else:
                file[name] = values.astype(object) if values.dtype.kind == "T" else values
    return path


def external(file, name):
    file.create_dataset(name, (ROWS,), "i8", external=[("/etc/passwd", 0, ROWS * 8)])


def virtual(file, name):
    layout = h5py.VirtualLayout((ROWS,), "i8")
    layout[:] = h5py.VirtualSource("other.h5", "a", (ROWS,))
    file.create_virtual_dataset(name, layout)


def sparse(file, name):
    file.create_dataset(name, (10**12,), "i8", chunks=(10**6,), compression="gzip")


def unwritten(file, name):
    file.create_dataset(name, (10**12,), "i8")


def half(file, name):
    file.create_dataset(name, (ROWS,), "i8", chunks=(4,))[:8] = 1


def plugin(file, name):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((ROWS,))
    plist.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (1,))
    space = h5py.h5s.create_simple((ROWS,))
    h5py.h5d.create(file.id, name.encode(), h5py.h5t.NATIVE_INT64, space, plist)
    file[name].id.write_direct_chunk((0,), bytes(ROWS * 8))


def to_elsewhere(file, name):
    file[name] = h5py.ExternalLink("/etc/passwd", "/")


def to_itself(file, name):
    file[name] = h5py.SoftLink(name)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (external, "values in another file, which is not read"),
        (virtual, "a virtual dataset, whose values lie elsewhere"),
        (sparse, "1000000 chunks declared, 0 stored"),
        (unwritten, r"\(1000000000000,\) values declared, 0 bytes stored"),
        (half, "5 chunks declared, 2 stored"),
        (plugin, "the filter 32001, which is not one of HDF5"),
        (to_elsewhere, "a link to another file, which is not followed"),
        (to_itself, "a link that leads to too many links"),
    ],
)
def test_arrays_without_values_of_their_own(make_arrays, tmp_path, monkeypatch, write, reason):
    monkeypatch.chdir(tmp_path)
    path = heatmaps(tmp_path / "a.h5", make_arrays, label=write)
    with pytest.raises(InputError, match=f"label: .* got {reason}"):
        Artifact(path)


def test_many_rows_that_share_one_text_are_refused(make_arrays, tmp_path):
    """Ten thousand addresses of 64 kB would be 655 MB."""

    def share(file, name):
        file.create_dataset(name, data=["x" * 2**16, "y"], dtype=h5py.string_dtype(), chunks=(2,))

    path = heatmaps(tmp_path / "a.h5", make_arrays)
    with h5py.File(path, "a") as file:
        share(file, "long")
        space = h5py.h5s.create_simple((10_000,))
        h5py.h5d.create(file.id, b"many", file["long"].id.get_type(), space)
        file["many"][:] = "z"
        address = file["long"].id.get_chunk_info(0).byte_offset
        place = file["many"].id.get_offset()
    data = bytearray(path.read_bytes())
    data[place : place + 160_000] = data[address : address + 16] * 10_000
    path.write_bytes(data)
    store = Hdf5Store(path)
    with pytest.raises(OSError, match="more text than the file has bytes"):
        store.read("many", 0, 10_000)
    assert store.read("long", 0, 2).tolist() == ["x" * 2**16, "y"]
    store.close()


def test_groups_that_multiply_have_an_end(tmp_path):
    """Forty groups with two links to the next one each are a million million paths."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        below = file.create_group("last")
        for number in range(40):
            group = file.create_group(f"g{number}")
            group["a"] = group["b"] = below
            below = group
    with pytest.raises(InputError, match=r"got more than 3?\d+ (objects|groups in each other)"):
        Hdf5Store(tmp_path / "a.h5")


def test_files_that_are_none(tmp_path):
    (tmp_path / "text.h5").write_text("no HDF5")
    (tmp_path / "folder.h5").mkdir()
    os.mkfifo(tmp_path / "pipe.h5")
    for name, got in (("text", "another file"), ("folder", "a folder"), ("pipe", "a named pipe")):
        with pytest.raises(InputError, match=f"expected an HDF5 file, got {got}"):
            Hdf5Store(tmp_path / f"{name}.h5")


def test_a_cut_file_is_damaged(write, make_arrays, tmp_path):
    path = write(tmp_path / "a.h5", make_arrays())
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(IntegrityError, match=r"expected a whole HDF5 file, got .*truncated"):
        Artifact(path)


def test_the_library_is_not_asked_twice_about_one_state_of_a_file(write, make_arrays, tmp_path):
    path = write(tmp_path / "a.h5", make_arrays())
    with Artifact(path) as artifact:
        before = artifact.sample_ids
    path.unlink()
    write(path, make_arrays() | {"sample_id": np.array([f"n{n}" for n in range(ROWS)])})
    with Artifact(path) as artifact:
        assert artifact.sample_ids != before
        assert artifact.sample_ids == [f"n{n}" for n in range(ROWS)]
