"""Reading of artifacts from other programs, and errors of invalid ones."""

from __future__ import annotations

import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.integrity.sealed_documents import sealed, unsealed
from ectool.artifacts.store import check_suffix, open_store, read_manifest
from ectool.errors import InputError

NAMES = pytest.mark.parametrize("name", ["cams.zarr", "cams.h5"])


def write_foreign(path, arrays, **attributes):
    """Write arrays with plain zarr or plain h5py, in whatever chunks they choose."""
    if path.suffix == ".zarr":
        group = zarr.create_group(str(path), attributes=attributes)
        for name, values in arrays.items():
            group.create_array(name, data=values)
    else:
        with h5py.File(path, "w") as file:
            file.attrs.update(attributes)
            for name, values in arrays.items():
                file[name] = values.astype(object) if values.dtype.kind == "T" else values
    return path


@NAMES
def test_artifacts_of_other_programs(make_arrays, tmp_path, name):
    arrays = make_arrays() | {"notes": np.arange(7)}
    path = write_foreign(tmp_path / name, arrays, schema="heatmaps", version=1)
    with Artifact(path, "heatmaps") as artifact:
        assert (artifact.kind, len(artifact), artifact.manifest) == ("heatmaps", 20, None)
        assert artifact.sample_ids == arrays["sample_id"].tolist()
        assert artifact.verify() == []
        assert "notes" in artifact.arrays
        assert "notes" not in artifact.columns
        np.testing.assert_array_equal(artifact.read("clean", 3, 11), arrays["clean"][3:11])


def test_the_id_of_foreign_contents_is_the_same_in_both_formats(make_arrays, tmp_path):
    ids = set()
    for name in ("a.zarr", "a.h5"):
        with Artifact(write_foreign(tmp_path / name, make_arrays(), schema="heatmaps")) as artifact:
            ids.add(artifact.id)
    other = write_foreign(tmp_path / "b.h5", make_arrays(seed=1), schema="heatmaps")
    with Artifact(other) as artifact:
        assert len({*ids, artifact.id}) == len(ids) + 1 == 2


@pytest.mark.parametrize("kind", ["U", "S", object])
def test_every_kind_of_text_is_text(make_arrays, tmp_path, kind):
    names = [f"image-{row}" for row in range(20)]
    arrays = make_arrays() | {"sample_id": np.array(names, kind)}
    if kind != "U":  # HDF5 knows no text of four bytes a letter
        path = write_foreign(tmp_path / "a.h5", arrays, schema="heatmaps")
        with Artifact(path) as artifact:
            assert artifact.sample_ids == names
    if kind is not object:
        with warnings.catch_warnings(action="ignore"):  # of zarr before 3.2: a type without a spec
            path = write_foreign(tmp_path / "a.zarr", arrays, schema="heatmaps")
        assert Artifact(path).sample_ids == names


def test_hdf5_attributes_of_fixed_length(make_arrays, tmp_path):
    """As MATLAB and C write them."""
    path = write_foreign(tmp_path / "a.h5", make_arrays(), schema=np.bytes_("heatmaps"))
    with Artifact(path) as artifact:
        assert artifact.store.attributes == {"schema": "heatmaps"}


@NAMES
@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "expected a heatmaps artifact, got schema None"),
        ({"schema": "weights"}, "expected a heatmaps artifact, got schema 'weights'"),
        ({"schema": ["heatmaps", "x"]}, "expected a heatmaps artifact, got schema"),
        ({"schema": "heatmaps", "version": 7}, "expected schema version 1, got 7"),
    ],
)
def test_changed_attributes(make_arrays, tmp_path, name, attributes, message):
    path = write_foreign(tmp_path / name, make_arrays(), **attributes)
    with pytest.raises(InputError, match=message):
        Artifact(path, "heatmaps")


@NAMES
def test_a_missing_array_and_an_absent_one(make_arrays, tmp_path, name):
    arrays = make_arrays()
    del arrays["adversarial"]
    artifact = Artifact(write_foreign(tmp_path / name, arrays, schema="heatmaps"))
    with pytest.raises(InputError, match=f"{name}: adversarial: expected the array `adv.* clean"):
        artifact.read("adversarial")
    artifact.close()
    del arrays["target"]
    path = write_foreign(tmp_path / f"2{name}", arrays, schema="heatmaps")
    with pytest.raises(InputError, match=f"{name}: target: expected the array `target` of a heatm"):
        Artifact(path)


@NAMES
def test_a_row_that_is_not_finite_is_named(make_arrays, tmp_path, name):
    arrays = make_arrays()
    arrays["adversarial"][17, 2, 3] = np.inf
    artifact = Artifact(write_foreign(tmp_path / name, arrays, schema="heatmaps"))
    with pytest.raises(InputError, match=f"{name}: adversarial: .* infinity at row 17"):
        artifact.read("adversarial", 5)
    artifact.close()


@NAMES
def test_a_sample_that_is_there_twice_is_named(make_arrays, tmp_path, name):
    arrays = make_arrays()
    arrays["sample_id"][4] = arrays["sample_id"][11]
    artifact = Artifact(write_foreign(tmp_path / name, arrays, schema="heatmaps"))
    with pytest.raises(InputError, match="sample_id: expected every sample once, got 'digits/11"):
        _ = artifact.sample_ids
    artifact.close()


def test_what_is_no_artifact(tmp_path):
    for name in ("a.h5", "a.zarr", "a.npz"):
        (tmp_path / name).write_bytes(b"something else")
    (tmp_path / "b.zarr").mkdir()
    zarr.create_array(str(tmp_path / "array.zarr"), shape=(2,), dtype="f4")
    for name, expected in {
        "a.h5": "an HDF5 file",
        "a.zarr": "a Zarr v3 group",
        "b.zarr": "a Zarr v3 group",
        "array.zarr": "a Zarr v3 group",
        "a.npz": "a name that ends in .zarr or .h5 or .hdf5, got .npz",
        "none.h5": "an artifact, got no such file",
    }.items():
        with pytest.raises(InputError, match=f"{name}: expected {expected}"):
            open_store(tmp_path / name)


def test_names_of_outputs(tmp_path):
    assert check_suffix(tmp_path / "a.hdf5") == tmp_path / "a.hdf5"
    with pytest.raises(InputError, match=r"got no suffix; change --output"):
        check_suffix(tmp_path / "a")


def test_manifests_of_what_has_none(make_arrays, tmp_path):
    assert read_manifest(tmp_path / "nothing") is None
    assert read_manifest(tmp_path) is None
    path = write_foreign(tmp_path / "a.h5", make_arrays(), schema="heatmaps")
    assert read_manifest(path) is None


def as_newer(text):
    """Return the text of a manifest as a later version would write it, with its digest."""
    body = unsealed(text.encode(), Path("manifest.json")).decode()
    return sealed(body.replace('"version": 1', '"version": 2')).decode()


@NAMES
def test_an_artifact_of_a_newer_version_is_refused(write, make_arrays, tmp_path, name):
    output = write(tmp_path / name, make_arrays())
    if name == "cams.h5":
        with h5py.File(output, "a") as file:
            file.attrs["manifest"] = as_newer(file.attrs["manifest"])
    else:
        text = (output / "manifest.json").read_text()
        (output / "manifest.json").write_text(as_newer(text))
    with pytest.raises(InputError, match="expected schema version 1, got 2"):
        Artifact(output)
