from __future__ import annotations

from contextlib import suppress

import h5py
import numpy as np
import pytest

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.jobs.reopening import reopen
from ectool.artifacts.partial import growing, partial_folder, up_to_date
from ectool.artifacts.store import read_manifest
from ectool.errors import BusyOutputError, InputError, IntegrityError, OutputExistsError

ROWS, SHARD = 20, 8
NAMES = pytest.mark.parametrize("name", ["cams.zarr", "cams.h5"])


def grow(output, recipe):
    return growing(output, recipe, length=ROWS, shard_size=SHARD)


def rows_of(arrays, start, stop):
    return {name: values[start:stop] for name, values in arrays.items()}


@NAMES
def test_what_is_read_is_what_was_written(write, make_arrays, tmp_path, name):
    arrays = make_arrays()
    with Artifact(write(tmp_path / name, arrays), "heatmaps") as artifact:
        assert len(artifact) == ROWS
        assert artifact.shards == ((0, 8), (8, 16), (16, 20))
        for array, values in arrays.items():
            found = artifact.read(array)
            assert found.dtype == values.dtype
            np.testing.assert_array_equal(found, values)
            np.testing.assert_array_equal(artifact.read(array, 6, 18), values[6:18])
            np.testing.assert_array_equal(artifact.read(array, 9, 12), values[9:12])
        assert artifact.verify() == []
    assert [path.name for path in tmp_path.iterdir()] == [name]


@NAMES
def test_the_manifest_of_a_finished_artifact(write, make_arrays, recipe, tmp_path, name):
    manifest = read_manifest(write(tmp_path / name, make_arrays()))
    assert (manifest.kind, manifest.length, manifest.recipe) == ("heatmaps", ROWS, recipe)
    assert manifest.all_findings() == {"zero_maps": 3, "share": 0.5}


def test_both_formats_have_the_same_id_and_key(write, make_arrays, tmp_path):
    written = [write(tmp_path / name, make_arrays()) for name in ("a.zarr", "a.h5")]
    manifests = [read_manifest(path) for path in written]
    assert manifests[0] == manifests[1]


@NAMES
def test_any_order_and_any_interruption_give_the_same_bytes(
    write, make_arrays, recipe, tree, tmp_path, name
):
    arrays = make_arrays()
    whole = write(tmp_path / f"whole-{name}", arrays)
    output = tmp_path / name
    for numbers in ((2,), (0, 1)):
        with suppress(KeyboardInterrupt), grow(output, recipe) as partial:
            for number in numbers:
                partial.write(
                    number, rows_of(arrays, *partial.ranges[number]), {"zero_maps": number}
                )
            raise KeyboardInterrupt
    with grow(output, recipe) as partial:
        assert partial.missing() == []
        partial.publish({"share": 0.5})
    assert list(tree(output).values()) == list(tree(whole).values())


def test_unfinished_files_of_a_killed_writer_are_not_published(
    make_arrays, recipe, tmp_path, write, tree
):
    output = tmp_path / "a" / "cams.zarr"
    with grow(output, recipe) as partial:
        partial.write(0, rows_of(make_arrays(), 0, SHARD), {"zero_maps": 0})
        (partial.store / "clean/c/0/0/0.1234.partial").write_bytes(b"half")
    write(output, make_arrays())
    assert tree(output) == tree(write(tmp_path / "b" / "cams.zarr", make_arrays()))


def test_all_zero_shards_are_stored(write, make_arrays, tmp_path):
    """The clean maps of the second shard are zero; a missing chunk would read as the same."""
    output = write(tmp_path / "cams.zarr", make_arrays())
    assert (output / "clean/c/1/0/0").exists()
    (output / "clean/c/1/0/0").unlink()
    with Artifact(output) as artifact:
        with pytest.raises(IntegrityError, match=r"shard 1 of `clean`: .* got no chunk c/1/0/0"):
            artifact.read("clean")
        assert artifact.verify() == [1]


CHUNKS = {"clean": "c/{}/0/0", "sample_id": "c/{}", "logits_clean": "c/{}/0"}


@pytest.mark.parametrize("array", CHUNKS)
@pytest.mark.parametrize("number", [0, 2])
def test_one_flipped_byte_of_a_chunk_names_the_shard(
    write, make_arrays, recipe, tree, flip, tmp_path, array, number
):
    output = write(tmp_path / "cams.zarr", make_arrays())
    before = tree(output)
    flip(output / array / CHUNKS[array].format(number), 13)
    with Artifact(output) as artifact:
        with pytest.raises(IntegrityError, match=f"cams.zarr: shard {number} of `{array}`: "):
            artifact.read(array, *artifact.shards[number])
        assert artifact.verify() == [number]
        with pytest.raises(IntegrityError, match=f"shard {number}"):
            list(artifact.iterate())
    assert reopen(output, recipe, shard_size=SHARD) == [number]
    assert_repaired(output, recipe, make_arrays(), [number], tree, before)


def assert_repaired(output, recipe, arrays, damaged, tree, before):
    """Only the damaged shards are missing; with them the bytes are the same again."""
    with grow(output, recipe) as partial:
        assert partial.missing() == damaged
        for number in damaged:
            partial.write(number, rows_of(arrays, *partial.ranges[number]), {"zero_maps": number})
        partial.publish({"share": 0.5})
    assert tree(output) == before


@pytest.mark.parametrize("array", ["clean", "logits_clean"])
def test_one_flipped_byte_of_an_hdf5_chunk_names_the_shard(
    write, make_arrays, recipe, tree, flip, tmp_path, array
):
    output = write(tmp_path / "cams.h5", make_arrays())
    before = tree(output)
    with h5py.File(output) as file:
        chunk = file[array].id.get_chunk_info(2)
    flip(output, chunk.byte_offset + chunk.size // 2)
    with Artifact(output) as artifact:
        artifact.read(array, 0, 2 * SHARD)
        with pytest.raises(IntegrityError, match=f"cams.h5: shard 2 of `{array}`: "):
            artifact.read(array, 2 * SHARD, ROWS)
        assert artifact.verify() == [2]
    assert reopen(output, recipe, shard_size=SHARD) == [2]
    assert_repaired(output, recipe, make_arrays(), [2], tree, before)


@pytest.mark.parametrize("flips", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_no_flipped_byte_of_a_zarr_store_goes_unnoticed(write, make_arrays, tmp_path, flip, flips):
    """Anywhere in any file: it is refused, found by verification, or means nothing."""
    arrays, chosen = make_arrays(), np.random.default_rng(0)
    output = write(tmp_path / "cams.zarr", arrays)
    files = [path for path in sorted(output.rglob("*")) if path.is_file()]
    found = 0
    for _ in range(flips):
        file = files[chosen.integers(len(files))]
        content = file.read_bytes()
        flip(file, int(chosen.integers(len(content))))
        found += is_noticed(output)
        if not is_noticed(output):
            with Artifact(output, "heatmaps") as artifact:
                for array, values in arrays.items():
                    np.testing.assert_array_equal(artifact.read(array), values)
        file.write_bytes(content)
    assert found > 0.9 * flips


def is_noticed(output):
    try:
        with Artifact(output, "heatmaps") as artifact:
            return bool(artifact.verify())
    except (InputError, IntegrityError):
        return True


def test_an_intact_output_is_left_alone(write, make_arrays, recipe, tree, tmp_path):
    output = write(tmp_path / "cams.zarr", make_arrays())
    before = tree(tmp_path)
    assert reopen(output, recipe, shard_size=SHARD) is None
    assert tree(tmp_path) == before


def test_publishing_reads_back_what_was_written(make_arrays, recipe, flip, tmp_path):
    output = tmp_path / "cams.zarr"
    with grow(output, recipe) as partial:
        for number, (start, stop) in enumerate(partial.ranges):
            partial.write(number, rows_of(make_arrays(), start, stop), {})
        flip(partial.store / "label/c/1", 8)
        with pytest.raises(IntegrityError, match=r"cams.zarr: shards \[1\]: expected the bytes"):
            partial.publish()
        assert partial.missing() == [1]
    assert not output.exists()


def test_numbers_that_are_none_are_not_written(make_arrays, recipe, tmp_path):
    arrays = make_arrays()
    arrays["logits_adversarial"][9, 1] = np.nan
    with grow(tmp_path / "cams.zarr", recipe) as partial:
        with pytest.raises(
            InputError, match=r"cams.zarr: logits_adversarial: .* infinity at row 9"
        ):
            partial.write(1, rows_of(arrays, 8, 16), {})
        assert partial.missing() == [0, 1, 2]


def test_an_array_the_schema_does_not_know_is_a_bug(make_arrays, recipe, tmp_path):
    with grow(tmp_path / "cams.zarr", recipe) as partial, pytest.raises(KeyError, match="mine"):
        partial.write(0, {**rows_of(make_arrays(), 0, 8), "mine": np.zeros(8)}, {})


def test_two_writers(recipe, tmp_path):
    with (
        grow(tmp_path / "cams.zarr", recipe),
        pytest.raises(BusyOutputError, match="another one at work"),
        grow(tmp_path / "cams.zarr", recipe),
    ):
        pytest.fail("both write")


def test_no_samples_make_no_artifact(recipe, tmp_path):
    with (
        pytest.raises(InputError, match="sample_id: expected at least one sample, got none"),
        growing(tmp_path / "cams.zarr", recipe, length=0, shard_size=SHARD),
    ):
        pytest.fail("there is nothing to write")
    assert list(tmp_path.iterdir()) == []


def test_a_name_without_a_format(recipe, tmp_path):
    with (
        pytest.raises(InputError, match=r"an output that ends in .zarr or .h5 or .hdf5, got .npz"),
        grow(tmp_path / "cams.npz", recipe),
    ):
        pytest.fail("nothing can be written")


@NAMES
def test_the_same_key_is_up_to_date_and_another_is_not(
    write, make_arrays, recipe, tree, tmp_path, name
):
    output = tmp_path / name
    assert not up_to_date(output, recipe, force=False)
    write(output, make_arrays())
    before = tree(output)
    partial_folder(output, recipe).mkdir()  # a process was killed right before removing it
    assert up_to_date(output, recipe, force=False)
    assert up_to_date(output, recipe, force=True)
    assert not partial_folder(output, recipe).exists()
    other = recipe.model_copy(update={"config": {"seed": 4}})
    with pytest.raises(OutputExistsError, match=r"got another one \(seed: 3 → 4\); choose"):
        up_to_date(output, other, force=False)
    assert tree(output) == before
    assert not up_to_date(output, other, force=True)
    assert tree(tmp_path / f"{name}.old-{recipe.key[:8]}").popitem()[1] == before.popitem()[1]


def test_what_has_no_manifest_is_in_the_way(recipe, tmp_path):
    (tmp_path / "cams.zarr").mkdir()
    with pytest.raises(OutputExistsError, match="got something without a manifest"):
        up_to_date(tmp_path / "cams.zarr", recipe, force=False)
    assert not up_to_date(tmp_path / "cams.zarr", recipe, force=True)
    assert (tmp_path / "cams.zarr.old-unknown").is_dir()
