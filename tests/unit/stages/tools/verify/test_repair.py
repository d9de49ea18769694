"""Repairs restore from copies, keep what is intact, and remove nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.jobs import writers
from ectool.config import ConvertConfig, VerifyConfig
from ectool.errors import IntegrityError
from ectool.stages.tools import convert, verify
from tests.unit.stages.tools.verify.conftest import ARRAYS, arrays


def repaired(*paths):
    """Repair, and return what was done by path, and what is not intact afterwards."""
    try:
        found = verify.run(VerifyConfig(paths=paths, repair=True)).document
    except IntegrityError as error:
        found = error.result.document
    bad = {one["path"] for one in found["artifacts"] if one["state"] in ("damaged", "incomplete")}
    return found["repairs"], bad


def flip(file: Path, position: int) -> bytes:
    """Flip a bit for good; return the damaged bytes."""
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)
    return bytes(data)


def contents(root):
    return {path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("other", ["copy.h5", "copy.zarr"])
def test_arrays_are_restored_from_a_copy_in_either_format(written, tmp_path, other):
    path = Path(shutil.copytree(written / "seed-0/ec/1/cams.zarr", tmp_path / "cams.zarr"))
    convert.run(ConvertConfig(source=path, target=tmp_path / other))
    damaged = flip(path / "clean/c/0/0/0", 5)
    flip(path / "manifest.json", 400) if other == "copy.zarr" else None
    done, bad = repaired(tmp_path)
    if other == "copy.h5":
        assert (done[str(path)][:13], bad) == ("restored from", set())
        with Artifact(path) as artifact:
            assert artifact.read("clean").tolist() == ARRAYS["heatmaps"]["clean"].tolist()
    else:  # without its manifest nothing tells of which artifact it was
        assert "moved aside to cams.zarr.old-damaged" in done[str(path)]
    assert damaged in contents(tmp_path)


@pytest.mark.slow
def test_a_missing_manifest_is_restored_where_something_else_names_the_id(made):
    path = made / "seed-0/ec/1/adv.zarr"
    convert.run(ConvertConfig(source=path, target=made / "spare.h5"))
    (path / "manifest.json").unlink()
    assert repaired(made)[1] == set()


def test_intact_shards_stay_and_the_command_is_named(tmp_path):
    path = arrays(tmp_path / "cams.zarr", "heatmaps")
    flip(path / "clean/c/1/0/0", 5)
    done, bad = repaired(path)
    assert done[str(path)] == (
        "shards [1] have to be computed again, the others stay; run `ectool test` with the same "
        f"options and --output {path}"
    )
    assert bad == {str(path)}
    arrays(path, "heatmaps")  # the same command
    assert repaired(tmp_path) == ({}, set())
    assert (tmp_path / "cams.zarr.old-damaged").exists()


def test_an_edited_description_is_written_anew(tmp_path):
    path = arrays(tmp_path / "cams.zarr", "heatmaps")
    file = path / "clean/zarr.json"
    file.write_text(file.read_text().replace('"level": 1', '"level": 3'))
    done, bad = repaired(path)
    assert (done[str(path)][:13], bad) == ("written anew ", set())


def test_files_of_a_model_are_restored_from_another_one(made):
    path = made / "seed-0/ec/1/model"
    shutil.copytree(path, made / "spare")
    damaged = flip(path / "history.json", 3)
    (path / "model.json").unlink()
    (path / "mine.txt").write_text("mine")
    done, bad = repaired(made)
    assert bad == set()
    assert "history.json from" in done[str(path)]
    assert {damaged, b"mine"} <= contents(made)


def test_a_model_without_a_copy_is_moved_aside(made):
    path = made / "seed-0/ec/1/model"
    flip(path / "model.safetensors", 3)
    done, bad = repaired(made)
    assert "no copy of model.safetensors: moved aside to model.old-damaged" in done[str(path)]
    assert "`ectool run` with the same file" in done[str(path)]
    assert bad == {str(made / "experiment.json")}  # names a model that is missing now


@pytest.mark.slow
def test_an_evaluation_whose_part_is_damaged_is_computed_again(made):
    path = made / "seed-0/ec/eval"
    flip(path / "predictions.zarr/original/logits/c/0/0", 5)
    done, _ = repaired(made)
    assert "shards [0] have to be computed again" in done[str(path / "predictions.zarr")]
    assert "computed again from the parts" in done[str(path)]
    assert (path / "manifest.json.old-damaged").exists()


def test_what_another_process_writes_is_left_alone(tmp_path):
    path = arrays(tmp_path / "cams.zarr", "heatmaps")
    damaged = flip(path / "clean/c/1/0/0", 5)
    lock = writers.open_lock(writers.lock_of(path))
    assert writers.try_lock(lock)
    writers.sign(lock)
    done, bad = repaired(path)
    os.close(lock)
    assert done[str(path)].startswith(f"not repaired: {path}: expected one process writing it")
    assert bad == {str(path)}
    assert (path / "clean/c/1/0/0").read_bytes() == damaged


def test_an_intact_run_is_left_alone(made):
    before = contents(made)
    assert repaired(made) == ({}, set())
    assert contents(made) == before
