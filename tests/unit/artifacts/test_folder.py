from __future__ import annotations

import hashlib
import os
from contextlib import suppress

import pytest

from ectool.artifacts import folder
from ectool.artifacts.chunks.seal import checksum
from ectool.artifacts.partial import partial_folder
from ectool.artifacts.store import read_manifest
from ectool.errors import InputError, IntegrityError


@pytest.fixture
def model(recipe, tmp_path):
    recipe = recipe.model_copy(update={"kind": "model"})
    with folder.building(tmp_path / "model", recipe) as partial:
        (partial.scratch / "notes").write_text("not published")
        partial.store.mkdir()
        (partial.store / "weights").write_bytes(b"1234")
        return partial.publish({"weights": checksum(b"1234").hex()})


def test_a_published_folder_lists_the_digests_of_its_files(model):
    manifest = folder.open_folder(model, "model")
    assert manifest.files == {"weights": hashlib.sha256(b"1234").hexdigest()}
    assert sorted(path.name for path in model.iterdir()) == ["manifest.json", "weights"]
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_files_are_verified(model):
    manifest = folder.open_folder(model, "model")
    assert folder.verify_file(model / "weights", manifest) == model / "weights"
    (model / "weights").write_bytes(b"1235")
    with pytest.raises(IntegrityError, match=r"weights: expected the bytes that .* got others"):
        folder.verify_file(model / "weights", manifest)
    (model / "weights").unlink()
    with pytest.raises(IntegrityError, match=r"weights: expected the bytes that .* got no file"):
        folder.verify_file(model / "weights", manifest)


def test_folders_that_are_no_artifacts(model, tmp_path):
    with pytest.raises(InputError, match="expected evaluation artifact, got model"):
        folder.open_folder(model, "evaluation")
    with pytest.raises(InputError, match="expected model artifact, got no folder"):
        folder.open_folder(tmp_path / "nothing", "model")
    with pytest.raises(InputError, match="expected folder artifact, got a path without manifest"):
        folder.open_folder(tmp_path, None)


def test_scratch_files_stay_when_building_fails(recipe, tmp_path):
    with suppress(ZeroDivisionError), folder.building(tmp_path / "model", recipe) as partial:
        (partial.scratch / "epoch-1").write_text("kept")
        raise ZeroDivisionError
    assert (partial_folder(tmp_path / "model", recipe) / "epoch-1").read_text() == "kept"
    assert not (tmp_path / "model").exists()


def test_what_a_killed_writer_left_is_not_listed(recipe, tmp_path):
    (tmp_path / "results.json").write_text("{}")
    for name in ("manifest.json.tmp", "manifest.json.0123456789abcdef.tmp"):
        (tmp_path / name).write_text("half")
    assert list(folder.seal(tmp_path, recipe).files) == ["results.json"]


def test_a_manifest_that_is_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "manifest.json")
    for read in (read_manifest, lambda path: folder.open_folder(path, "evaluation")):
        with pytest.raises(IntegrityError, match=r"expected a regular file, got a named pipe"):
            read(tmp_path)
