"""Artifacts as other programs and languages write them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import zarr

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.copying import copy
from ectool.errors import InputError


def write_h5(path, arrays, ids=None):
    with h5py.File(path, "w") as file:
        file.attrs["schema"] = "heatmaps"
        for name, values in arrays.items():
            file[name] = values.astype(object) if values.dtype.kind == "T" else values
        if ids is not None:
            del file["sample_id"]
            file["sample_id"] = ids
    return path


def fixed_text(file, name, values, padding):
    """Write fixed-length UTF-8 as C programs do."""
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(12)
    kind.set_cset(h5py.h5t.CSET_UTF8)
    kind.set_strpad(padding)
    space = h5py.h5s.create_simple((len(values),))
    fill = b" " if padding == h5py.h5t.STR_SPACEPAD else b"\0"
    data = np.array([value.encode().ljust(12, fill) for value in values], "S12")
    dataset = h5py.h5d.create(file.id, name.encode(), kind, space)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data, mtype=kind)


@pytest.mark.parametrize("padding", [h5py.h5t.STR_SPACEPAD, h5py.h5t.STR_NULLPAD])
def test_ids_of_fixed_length(make_arrays, tmp_path, padding):
    names = [f"vögel/{row}" for row in range(20)]
    path = write_h5(tmp_path / "a.h5", make_arrays())
    with h5py.File(path, "a") as file:
        del file["sample_id"]
        fixed_text(file, "sample_id", names, padding)
    with Artifact(path) as artifact:
        assert artifact.sample_ids == names


def test_ids_as_bytes_are_utf8_or_refused(make_arrays, tmp_path):
    names = [f"vögel/{row}" for row in range(20)]
    utf8 = np.array([name.encode() for name in names])
    with Artifact(write_h5(tmp_path / "a.h5", make_arrays(), utf8)) as artifact:
        assert artifact.sample_ids == names
    latin = np.array([name.encode("latin-1") for name in names])
    with (
        Artifact(write_h5(tmp_path / "b.h5", make_arrays(), latin)) as artifact,
        pytest.raises(InputError, match=r"sample_id: .* got text that is not UTF-8"),
    ):
        _ = artifact.sample_ids


def test_objects_other_than_arrays_are_skipped_and_named(make_arrays, tmp_path):
    arrays = make_arrays()
    path = write_h5(tmp_path / "a.h5", arrays)
    with h5py.File(path, "a") as file:
        file["more/scalar"] = 3.5
        file["nothing"] = h5py.Empty("f4")
        file["table"] = np.zeros(20, [("a", "f4")])
        file.create_dataset("ragged", (20,), dtype=h5py.vlen_dtype(np.int32))
        file.create_dataset("reference", (20,), dtype=h5py.ref_dtype)
        file["broken"], file["outside"] = h5py.SoftLink("/x"), h5py.ExternalLink("x.h5", "/x")
        file["round"], file["more/round"] = h5py.SoftLink("/"), file["/"]
        file["type"] = np.dtype("f4")
        file.attrs["reference"] = file["table"].ref
    with Artifact(path) as artifact:
        assert artifact.store.unreadable.keys() == {
            *("nothing", "table", "ragged", "reference", "broken", "outside"),
        }
        np.testing.assert_array_equal(artifact.read("clean"), arrays["clean"])
        copy(artifact, tmp_path / "b.zarr", None)
    with Artifact(tmp_path / "b.zarr") as artifact:
        assert artifact.arrays.keys() == {*arrays, "more/scalar"}
        assert artifact.store.read("more/scalar", 0, 1) == 3.5


def test_links_lead_to_arrays_but_not_to_other_files(make_arrays, tmp_path):
    arrays = make_arrays()
    path = write_h5(tmp_path / "a.h5", arrays)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["maps"] = arrays["clean"]
    with h5py.File(path, "a") as file:
        file.move("label", "ours/label")
        file["label"] = h5py.SoftLink("/ours/label")
    with Artifact(path) as artifact:
        np.testing.assert_array_equal(artifact.read("label"), arrays["label"])
    with h5py.File(path, "a") as file:
        del file["clean"]
        file["outside"] = h5py.ExternalLink("other.h5", "/")
        file["clean"] = h5py.SoftLink("outside/maps")
    with pytest.raises(InputError, match=r"clean: .* got a link to another file, which is not fol"):
        Artifact(path)


def test_netcdf_makes_lists_of_attributes(make_arrays, tmp_path):
    path = write_h5(tmp_path / "a.h5", make_arrays())
    with h5py.File(path, "a") as file:
        file.attrs["version"] = np.array([1], np.int32)
        file["sample"] = np.zeros(20, "f4")
        file["sample"].make_scale("This is a netCDF dimension but not a netCDF variable.")
        file["label"].dims[0].attach_scale(file["sample"])
    with Artifact(path, "heatmaps") as artifact:
        assert len(artifact.sample_ids) == 20


def test_zarr_of_version_2(make_arrays, tmp_path):
    arrays = make_arrays()
    path = tmp_path / "a.zarr"
    group = zarr.create_group(path, zarr_format=2, attributes={"schema": "heatmaps"})
    for name, values in arrays.items():
        group.create_array(
            name, shape=values.shape, dtype=values.dtype, chunks=(7, *values.shape[1:])
        )
        group[name][:] = values
    group.create_group("mine").create_array("notes", data=np.arange(3))
    with Artifact(path, "heatmaps") as artifact:
        assert artifact.arrays.keys() == {*arrays, "mine/notes"}
        for name, values in arrays.items():
            np.testing.assert_array_equal(artifact.read(name), values)


@pytest.mark.parametrize("suffix", [".zarr", ".h5"])
def test_other_byte_orders_and_layouts(make_arrays, tmp_path, suffix):
    arrays = make_arrays()
    changed = {
        n: v.astype(v.dtype.newbyteorder(">")) for n, v in arrays.items() if v.dtype.kind != "T"
    }
    changed["clean"] = np.asfortranarray(changed["clean"].astype(">f8"))
    changed["sample_id"] = arrays["sample_id"]
    path = tmp_path / f"a{suffix}"
    if suffix == ".h5":
        write_h5(path, changed)
    else:
        group = zarr.create_group(path, attributes={"schema": "heatmaps"})
        for name, values in changed.items():
            chunks = (3, *(max(1, side // 2) for side in values.shape[1:]))
            group.create_array(name, data=values, chunks=chunks)
    with Artifact(path) as artifact:
        for name, values in arrays.items():
            assert artifact.read(name).dtype.isnative
            np.testing.assert_array_equal(artifact.read(name), values)
            np.testing.assert_array_equal(artifact.take(name, np.array([19, 0])), values[[19, 0]])


@pytest.mark.parametrize("name", ["clean", "adversarial"])
def test_heatmaps_below_zero_are_refused(make_arrays, tmp_path, name):
    arrays = make_arrays()
    arrays[name][17, 1, 1] = -0.25
    with (
        Artifact(write_h5(tmp_path / "a.h5", arrays)) as artifact,
        pytest.raises(InputError, match=rf"{name}: .* at least 0, got -0\.25 at row 17"),
    ):
        artifact.read(name)


@pytest.mark.parametrize("name", ["a::b.zarr", "a::b.h5"])
def test_a_name_that_looks_like_a_chain_of_urls(write, make_arrays, tmp_path, name):
    with Artifact(write(tmp_path / name, make_arrays())) as artifact:
        assert artifact.damage() == {}
    assert [path.name for path in tmp_path.iterdir()] == [name]
