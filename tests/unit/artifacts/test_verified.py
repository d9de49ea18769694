"""Data that have changed are refused, also if their checksums match."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import zarr

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.jobs.reopening import reopen
from ectool.artifacts.manifest import make_manifest
from ectool.artifacts.partial import growing
from ectool.errors import IntegrityError

SHARD = 8
NAMES = pytest.mark.parametrize("name", ["cams.zarr", "cams.h5"])


def edit(path, name, change):
    """Change an array in place with zarr-python or h5py, which write valid checksums."""
    if path.suffix == ".zarr":
        array = zarr.open_array(path / name, mode="r+")
        array[:] = change(array[:])
    else:
        with h5py.File(path, "a") as file:
            file[name][:] = change(file[name][:])


def swap_rows(values):
    """Swap the rows of the first two shards."""
    return np.concatenate([values[SHARD : 2 * SHARD], values[:SHARD], values[2 * SHARD :]])


def other(values):
    changed = values.copy()
    changed[9] = "other" if values.dtype.kind in "OTU" else values[9] + 1
    return changed


def edit_manifest(path, change):
    """Change the manifest of an artifact; it is then one of an earlier version, without digest."""

    def edited(text):
        manifest = json.loads(text)
        manifest.pop("digest", None)
        return json.dumps(change(manifest))

    if path.suffix == ".zarr":
        file = path / "manifest.json"
        file.write_text(edited(file.read_text()))
        return
    with h5py.File(path, "a") as file:
        file.attrs["manifest"] = edited(file.attrs["manifest"])


def as_written_before(manifest):
    """Return the manifest as versions wrote it that had one digest a shard."""
    for shard in manifest["shards"]:
        del shard["arrays"]
    del manifest["attributes"]
    return manifest


@NAMES
@pytest.mark.parametrize("array", ["sample_id", "label", "clean", "logits_adversarial"])
def test_an_edited_array_is_refused_by_name(write, make_arrays, tmp_path, name, array):
    path = write(tmp_path / name, make_arrays())
    edit(path, array, other)
    with Artifact(path, "heatmaps") as artifact:
        assert len(artifact.read(array, 0, SHARD)) == SHARD
        message = f"{name}: shard 1 of `{array}`: expected the bytes that were written"
        for read in (
            lambda: artifact.read(array),
            lambda: artifact.read(array, 12, 13),
            lambda: artifact.take(array, np.array([9])),
            lambda: list(artifact.iterate()),
        ):
            with pytest.raises(IntegrityError, match=message):
                read()
        assert artifact.damage() == {1: [array]}


@NAMES
def test_swapped_shards_are_refused(write, make_arrays, tmp_path, name):
    path = write(tmp_path / name, make_arrays())
    edit(path, "clean", swap_rows)
    with Artifact(path) as artifact, pytest.raises(IntegrityError, match="shard 0 of `clean`"):
        artifact.read("clean")


@NAMES
def test_artifacts_of_earlier_versions_are_compared_by_the_shard(
    write, make_arrays, tmp_path, name
):
    arrays = make_arrays()
    path = write(tmp_path / name, arrays)
    edit_manifest(path, as_written_before)
    with Artifact(path) as artifact:
        np.testing.assert_array_equal(artifact.read("label"), arrays["label"])
        assert artifact.damage() == {}
    edit(path, "label", other)
    with Artifact(path) as artifact:
        artifact.read("clean", 0, SHARD)
        with pytest.raises(IntegrityError, match=f"{name}: shard 1: expected the bytes"):
            artifact.read("clean", 9, 10)
        assert artifact.damage() == {1: [""]}


@NAMES
def test_the_manifest_of_another_artifact(write, make_arrays, tmp_path, name):
    path, strange = write(tmp_path / name, make_arrays()), make_arrays(seed=1)
    write(tmp_path / f"2{name}", strange)
    taken = {}
    edit_manifest(tmp_path / f"2{name}", lambda manifest: taken.update(manifest) or manifest)
    edit_manifest(path, lambda _: taken)
    with Artifact(path) as artifact, pytest.raises(IntegrityError, match="shard 0 of `clean`"):
        artifact.read("clean")


@NAMES
@pytest.mark.parametrize("field", ["key", "id"])
def test_a_manifest_that_was_edited(write, make_arrays, tmp_path, name, field):
    path = write(tmp_path / name, make_arrays())

    def change(manifest):
        if field == "key":
            manifest["recipe"]["config"]["seed"] = 4
        else:
            manifest["shards"][0]["digest"] = "0" * 64
        return manifest

    edit_manifest(path, change)
    with pytest.raises(IntegrityError, match=f"{field}: expected the manifest that was written"):
        Artifact(path)


@NAMES
def test_an_edited_attribute_is_refused_and_repaired(make_arrays, recipe, tmp_path, name):
    path, arrays = tmp_path / name, make_arrays()

    def grow():
        attributes = {"classes": ["crow", "jay"]}
        with growing(path, recipe, length=20, shard_size=SHARD, attributes=attributes) as partial:
            for number in partial.missing():
                start, stop = partial.ranges[number]
                partial.write(number, {n: v[start:stop] for n, v in arrays.items()}, {})
            return partial.publish()

    grow()
    changed = {"classes": ["jay", "crow"], "mine": "kept"}
    if name == "cams.zarr":
        zarr.open_group(path).attrs.update(changed)
    else:
        with h5py.File(path, "a") as file:
            file.attrs.update(changed)
    with pytest.raises(IntegrityError, match=f"{name}: attribute `classes`: expected the bytes"):
        Artifact(path)
    assert reopen(path, recipe, shard_size=SHARD) == [0]
    with Artifact(grow()) as artifact:
        assert artifact.store.attributes["classes"] == ["crow", "jay"]
        assert artifact.store.attributes["mine"] == "kept"


@NAMES
@pytest.mark.parametrize("array", ["notes", "mine/notes"])
def test_arrays_of_ones_own_are_left_alone(write, make_arrays, recipe, tmp_path, name, array):
    arrays, notes = make_arrays(), np.arange(7)
    path = write(tmp_path / name, arrays)
    if name == "cams.zarr":
        zarr.open_group(path).create_array(array, data=notes)
    else:
        with h5py.File(path, "a") as file:
            file[array] = notes
            file["nowhere"] = h5py.SoftLink("/none")
    with Artifact(path) as artifact:
        assert artifact.damage() == {}
    edit(path, "label", other)
    assert reopen(path, recipe, shard_size=SHARD) == [1]
    write(path, arrays)
    with Artifact(path) as artifact:
        assert artifact.damage() == {}
        np.testing.assert_array_equal(artifact.store.read(array, 0, 7), notes)
        np.testing.assert_array_equal(artifact.read("label"), arrays["label"])


@NAMES
def test_an_array_with_a_name_of_the_schema_is_not_ones_own(write, make_arrays, tmp_path, name):
    arrays = make_arrays()
    late = arrays.pop("adversarial"), arrays.pop("logits_adversarial")
    path = write(tmp_path / name, arrays)
    if name == "cams.zarr":
        zarr.open_group(path).create_array("adversarial", data=late[0])
    else:
        with h5py.File(path, "a") as file:
            file["adversarial"] = late[0]
    with Artifact(path) as artifact, pytest.raises(IntegrityError, match="array `adversarial`"):
        artifact.read("clean")


def test_the_digests_are_those_of_the_documents(write, make_arrays, tmp_path):
    """Computed here from the description in docs/artifacts.md."""
    from hashlib import sha256

    arrays = make_arrays()
    with Artifact(write(tmp_path / "cams.zarr", arrays)) as artifact:
        shard = artifact.manifest.shards[2]
    label = arrays["label"][16:20].astype("<i8")
    assert shard.arrays["label"] == sha256(b"label|<i8|(4,)|" + label.tobytes()).hexdigest()
    text = "\0".join(arrays["sample_id"][16:20].tolist()).encode()
    assert shard.arrays["sample_id"] == sha256(b"sample_id|text|(4,)|" + text).hexdigest()
    assert shard.arrays.keys() == arrays.keys()


def test_an_edited_image_is_refused_whichever_row_is_read(recipe, tmp_path):
    """Through rows read by offset, which know no codec."""
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 4, 4), np.uint8)
    recipe = recipe.model_copy(update={"kind": "pictures"})
    path = tmp_path / "x.zarr"
    with growing(path, recipe, length=20, shard_size=SHARD) as partial:
        for number, (start, stop) in enumerate(partial.ranges):
            ids = np.array([f"s{row}" for row in range(start, stop)], np.dtypes.StringDType())
            rows = {"sample_id": ids, "label": np.arange(start, stop), "image": images[start:stop]}
            partial.write(number, rows, {})
        partial.publish()
    edit(path, "image", other)
    for change in (lambda m: m, as_written_before):
        edit_manifest(path, change)
        with Artifact(path) as artifact:
            assert artifact.is_raw("image")
            rows = np.array([19, 3])
            np.testing.assert_array_equal(artifact.take("image", rows), images[rows])
            with pytest.raises(IntegrityError, match=r"x.zarr: shard 1"):
                artifact.take("image", np.array([3, 15]))


def test_key_and_id_of_a_manifest_match_its_contents(recipe):
    manifest = make_manifest(recipe, files={"a": "b"})
    assert (manifest.id, manifest.key) == (manifest.content_id, recipe.key)
