from __future__ import annotations

import pytest

from ectool.artifacts.folder import seal
from ectool.artifacts.integrity.folders import folder_problems
from tests.unit.artifacts.integrity.flips import flipped, positions


@pytest.fixture
def made(recipe, tmp_path):
    for name in ("model.json", "history.json"):
        (tmp_path / name).write_text('{"a": 1}\n')
    seal(tmp_path, recipe.model_copy(update={"kind": "model"}))
    return tmp_path


def problems(path):
    return [str(one) for one in folder_problems(path, is_closed=True)]


def test_every_flipped_byte_is_found(made):
    assert problems(made) == []
    for file in made.iterdir():
        for position in positions(file, 40):
            with flipped(file, position, position % 8):
                assert problems(made), (file, position)


def test_missing_and_extra_files(made):
    (made / "notes.txt").write_text("mine")
    (made / "model.json").unlink()
    assert problems(made) == ["model.json: missing", "notes.txt: not of this artifact"]
    assert len(folder_problems(made, is_closed=False)) == 1
