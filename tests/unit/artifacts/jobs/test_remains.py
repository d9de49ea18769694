"""Damage of an unfinished artifact: it is named, computed again, and never in the result."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from ectool.artifacts.jobs import remains
from ectool.artifacts.partial import growing, partial_folder

ROWS, SHARD = 20, 8


def grow(output, recipe):
    return growing(output, recipe, length=ROWS, shard_size=SHARD)


def fill(partial, arrays, numbers):
    for number in numbers:
        start, stop = partial.ranges[number]
        rows = {name: values[start:stop] for name, values in arrays.items()}
        partial.write(number, rows, {"zero_maps": number})


def emptied(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path):
    data = bytearray(path.read_bytes())
    if data:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)


def a_folder(path):
    path.unlink()
    (path / "inner").mkdir(parents=True)


def linked(path):
    path.unlink()
    path.symlink_to("nowhere")


def deleted(path):
    path.unlink()


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


DAMAGES = [emptied, cut, flipped, a_folder, linked, deleted, a_pipe]


@pytest.fixture
def begun(make_arrays, recipe, tmp_path):
    """Return a function that leaves an output with two of three shards, as a killed process."""

    def begin(name="cams.zarr"):
        output = tmp_path / name
        with suppress(KeyboardInterrupt), grow(output, recipe) as partial:
            partial.record_findings({"share": 0.5})
            fill(partial, make_arrays(), (0, 1))
            (partial.store / "clean/c/2/0/0.partial").parent.mkdir(parents=True)
            (partial.store / "clean/c/2/0/0.partial").write_bytes(b"half")
            raise KeyboardInterrupt
        return output, partial_folder(output, recipe)

    return begin


def finish(output, recipe, arrays):
    """Finish an output; return what was damaged, and which shards were computed."""
    with grow(output, recipe) as partial:
        computed = partial.missing()
        if not partial.recorded_findings():
            partial.record_findings({"share": 0.5})
        fill(partial, arrays, computed)
        partial.publish()
        return partial.lost, computed


@pytest.fixture
def whole(write, make_arrays, tree, tmp_path):
    return tree(write(tmp_path / "whole" / "cams.zarr", make_arrays()))


def test_intact_shards_are_kept(begun, recipe, make_arrays, tree, whole):
    output, _ = begun()
    assert finish(output, recipe, make_arrays()) == ([], [2])
    assert tree(output) == whole


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_no_damage_of_any_file_is_in_the_result(
    begun, recipe, make_arrays, tree, whole, tmp_path, damage
):
    """Whatever is done to a file, the bytes are the same; the file is named if it was needed."""
    names = sorted(tree(begun()[1]))
    for name in names:
        output, folder = begun()
        damage(folder / name)
        lost, computed = finish(output, recipe, make_arrays())
        assert tree(output) == whole, name
        assert not folder.exists()
        assert computed[-1] == 2
        is_free = name.startswith("lock") or name.endswith(".partial")
        is_unfinished = damage is deleted and name.startswith("shards/")
        assert lost == ([] if is_free or is_unfinished else [name])
        output.rename(tmp_path / f"{names.index(name)}.zarr")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_chunk_is_computed_again(begun, recipe, make_arrays, tree, whole, damage):
    output, folder = begun()
    damage(folder / "store.zarr/clean/c/1/0/0")
    assert finish(output, recipe, make_arrays()) == (["store.zarr/clean/c/1/0/0"], [1, 2])
    assert tree(output) == whole


@pytest.mark.parametrize(
    ("name", "computed"),
    [
        ("shards/000001.json", [1, 2]),
        ("store.zarr/clean/c/0/0/0", [0, 2]),
        ("store.zarr/clean/zarr.json", [2]),
        ("store.zarr/zarr.json", [2]),
        ("arrays.json", [0, 1, 2]),
        ("versions.json", [0, 1, 2]),
        ("findings.json", [0, 1, 2]),
    ],
)
def test_only_what_depends_on_the_damage_is_computed(begun, recipe, make_arrays, name, computed):
    output, folder = begun()
    flipped(folder / name)
    assert finish(output, recipe, make_arrays()) == ([name], computed)


@pytest.mark.parametrize("name", ["cams.zarr", pytest.param("cams.h5", marks=pytest.mark.slow)])
def test_folders_that_are_files_or_missing_and_what_was_added(
    begun, recipe, make_arrays, write, tree, tmp_path, name
):
    expected = list(tree(write(tmp_path / "whole" / name, make_arrays())).values())
    for wrong in ("shards", "store.zarr", "store.zarr/clean", "store.zarr/clean/c", "own", "."):
        for content in (None, b"no folder"):
            output, folder = begun(name)
            place = folder / wrong
            if place.exists():
                place.rename(tmp_path / f"moved-{wrong.replace('/', '-')}-{content is None}")
            if content is not None:
                place.write_bytes(content)
            finish(output, recipe, make_arrays())
            assert list(tree(output).values()) == expected, wrong
            output.rename(tmp_path / f"done-{wrong.replace('/', '-')}-{content is None}-{name}")
    output, folder = begun(name)
    for more in ("store.h5", "store.zarr/more", "shards/000009.json", "store.zarr/clean/c/1/0/1"):
        (folder / more).write_bytes(b"more")
    (folder / "store.zarr" / "group").mkdir()
    (folder / "store.zarr" / "group" / "zarr.json").write_text("{}")
    assert finish(output, recipe, make_arrays()) == ([], [2])
    assert list(tree(output).values()) == expected


def test_metadata_that_change_while_shards_are_written_are_restored(
    recipe, make_arrays, tmp_path, whole, tree
):
    output = tmp_path / "cams.zarr"
    with grow(output, recipe) as partial:
        partial.record_findings({"share": 0.5})
        fill(partial, make_arrays(), (0, 1, 2))
        flipped(partial.store / "clean" / "zarr.json")
        partial.publish()
    assert tree(output) == whole


def test_a_marker_without_checksum_counts_as_damaged(begun, recipe, make_arrays):
    """Earlier versions wrote them."""
    output, folder = begun()
    marker = remains.read_marker(folder, 0)
    remains.marker_path(folder, 0).write_text(marker.shard.model_dump_json())
    assert finish(output, recipe, make_arrays()) == (["shards/000000.json"], [0, 2])


def test_nothing_is_changed_by_looking(begun, tree):
    _, folder = begun()
    flipped(folder / "store.zarr/label/c/1")
    before = tree(folder)
    ranges = [(0, 8), (8, 16), (16, 20)]
    damage = remains.find_damage(folder, ranges, range(3))
    assert (damage.files, damage.shards) == (["store.zarr/label/c/1"], {1})
    assert list(damage.intact) == [0]
    assert remains.find_damage(folder, ranges, [0]).files == []
    assert tree(folder) == before
