"""Every flipped bit, every missing and every added file of an array artifact is found."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest
import zarr

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.copying import copy
from ectool.artifacts.integrity.arrays import array_problems
from tests.unit.artifacts.integrity.flips import flipped, positions

NAMES = pytest.mark.parametrize("name", ["cams.zarr", "cams.h5"])


@pytest.fixture
def made(write, make_arrays, tmp_path, name):
    return write(tmp_path / name, make_arrays())


def files(path):
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def missed(path, count):
    """Return where a flipped bit is not found, of a number of positions in every file."""
    return [
        (str(file.name), position)
        for file in files(path)
        for position in positions(file, count)
        if not found_with(path, file, position)
    ]


def found_with(path, file, position):
    with flipped(file, position, position % 8):
        return array_problems(path) != []


@NAMES
def test_what_was_written_is_intact(made, name):
    assert array_problems(made) == []


@NAMES
def test_a_flipped_bit_in_any_file_is_found(made, name):
    count = 1 if made.is_dir() else 10
    assert missed(made, count) == []


@pytest.mark.slow
@NAMES
def test_a_flipped_bit_in_any_byte_is_found(made, name):
    assert missed(made, 10**9 if made.is_dir() else 4000) == []


def test_files_that_are_missing_or_too_many_are_found(write, make_arrays, tmp_path):
    path = write(tmp_path / "cams.zarr", make_arrays())
    for file in files(path)[::4]:
        if file.name != "manifest.json":
            data = file.read_bytes()
            file.unlink()
            assert array_problems(path), file
            file.write_bytes(data)
    assert array_problems(path) == []
    extra = path / "clean/c/3/0/0"
    extra.parent.mkdir(parents=True)
    extra.write_bytes(b"")
    (problem,) = array_problems(path)
    assert (str(problem), problem.extra) == ("clean/c/3/0/0: not of this artifact", extra)


@pytest.fixture
def bare(write, make_arrays, tmp_path):
    """Return an artifact of ours whose manifest is gone."""
    path = write(tmp_path / "cams.zarr", make_arrays())
    (path / "manifest.json").unlink()
    return path


def test_a_missing_manifest_is_found(bare):
    assert [str(problem) for problem in array_problems(bare)] == ["manifest.json: missing"]
    zarr.open_group(bare).create_array("mine", data=np.arange(3))
    assert array_problems(bare)
    shutil.rmtree(bare / "clean")  # it cannot be opened any more
    assert array_problems(bare)


def test_without_a_manifest_artifacts_of_other_programs_are_unknown(bare, tmp_path):
    attributes = zarr.open_group(bare).attrs.asdict()
    foreign = zarr.create_group(tmp_path / "foreign.zarr", attributes=attributes)
    for name, array in zarr.open_group(bare).arrays():
        foreign.create_array(name, data=array[...])
    assert array_problems(tmp_path / "foreign.zarr") is None
    with Artifact(tmp_path / "foreign.zarr") as artifact:
        assert artifact.manifest is None
        copy(artifact, tmp_path / "copy.zarr", None)
    assert array_problems(tmp_path / "copy.zarr") is None


@NAMES
def test_what_users_add_is_no_damage(made, name):
    if made.is_dir():
        zarr.open_group(made).create_array("mine", data=np.arange(3))
        zarr.open_group(made)["clean"].attrs["note"] = "nice"
        (made / "notes.txt").write_text("mine")
    else:
        with h5py.File(made, "a") as file:
            file["mine"] = np.arange(3)
    assert array_problems(made) == []


@NAMES
def test_copies_are_intact_in_both_formats(made, tmp_path, name):
    with Artifact(made) as artifact:
        for other in ("copy.h5", "copy.zarr"):
            assert array_problems(copy(artifact, tmp_path / other, artifact.manifest)) == []


@NAMES
@pytest.mark.parametrize("entry", ["findings", "versions", "recipe"])
def test_entries_outside_of_key_and_id_are_covered(made, name, entry):
    def changed(text):
        document = json.loads(text)
        document[entry] = {**document[entry], "seed": 1.0} if entry != "recipe" else {}
        return json.dumps(document, indent=1) + "\n"

    if made.is_dir():
        file = made / "manifest.json"
        file.write_text(changed(file.read_text()))
    else:
        with h5py.File(made, "a") as file:
            file.attrs["manifest"] = changed(file.attrs["manifest"])
    (problem,) = array_problems(made)
    assert "expected the text of digest" in problem.fault


def test_a_manifest_whose_name_is_damaged_is_found(write, make_arrays, tmp_path):
    path = write(tmp_path / "cams.h5", make_arrays())
    place = path.read_bytes().index(b"manifest\0")
    assert found_with(path, path, place)


def test_a_file_of_another_program_is_not_damaged(tmp_path):
    path = tmp_path / "network.h5"
    with h5py.File(path, "w") as file:
        file["weights"] = np.arange(3)
    assert array_problems(path) is None
    path.write_bytes(b"no HDF5")
    assert array_problems(path)
