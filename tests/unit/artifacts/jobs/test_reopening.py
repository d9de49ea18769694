"""Finished outputs in which anything is damaged: this is computed again, to the same bytes."""

from __future__ import annotations

import shutil

import pytest

from ectool.artifacts.jobs.reopening import reopen, set_aside_unreadable
from ectool.artifacts.partial import growing

ROWS, SHARD = 20, 8


def finish(output, recipe, arrays):
    """Compute the missing shards and publish; return their numbers."""
    with growing(output, recipe, length=ROWS, shard_size=SHARD) as partial:
        missing = partial.missing()
        for number in missing:
            start, stop = partial.ranges[number]
            rows = {name: values[start:stop] for name, values in arrays.items()}
            partial.write(number, rows, {"zero_maps": number})
        partial.publish({"share": 0.5})
    return missing


def emptied(path):
    path.write_bytes(b"")


def renamed_dimension(path):
    path.write_text(path.read_text().replace("map_height", "map_heigh_"))


def a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "damage", "computed"),
    [
        ("clean", shutil.rmtree, [0, 1, 2]),
        ("clean/c/1", shutil.rmtree, [1]),
        ("clean/zarr.json", emptied, [0, 1, 2]),
        ("clean/zarr.json", renamed_dimension, []),
        ("zarr.json", emptied, [0, 1, 2]),
        ("label/c/2", a_folder, [2]),
    ],
)
def test_a_store(write, make_arrays, recipe, tree, tmp_path, name, damage, computed):
    output = write(tmp_path / "cams.zarr", make_arrays())
    before = tree(output)
    damage(output / name)
    assert reopen(output, recipe, shard_size=SHARD) == computed
    assert finish(output, recipe, make_arrays()) == computed
    assert tree(output) == before


@pytest.mark.parametrize("damage", [emptied, a_folder])
def test_a_damaged_manifest(write, make_arrays, recipe, tree, tmp_path, damage):
    """Nothing can be compared without it, so everything is computed."""
    output = write(tmp_path / "cams.zarr", make_arrays())
    before = tree(output)
    assert set_aside_unreadable(output) == ""
    damage(output / "manifest.json")
    assert set_aside_unreadable(output).endswith("now cams.zarr.old-damaged")
    assert finish(output, recipe, make_arrays()) == [0, 1, 2]
    assert tree(output) == before


@pytest.mark.slow
def test_any_byte_of_a_file(write, make_arrays, recipe, tree, flip, tmp_path):
    output = write(tmp_path / "cams.h5", make_arrays())
    before = output.read_bytes()
    for position in range(50, len(before), len(before) // 20):
        flip(output, position)
        aside = set_aside_unreadable(output)
        assert aside or reopen(output, recipe, shard_size=SHARD) is not None
        finish(output, recipe, make_arrays())
        assert output.read_bytes() == before
