"""States of an unfinished folder artifact: only intact ones are kept."""

from __future__ import annotations

import shutil

import pytest

from ectool.artifacts.jobs import states
from ectool.artifacts.jobs.sealed import write_checked
from ectool.errors import IntegrityError

FILES = {"model.safetensors": b"weights" * 100, "history.json": b"[]\n"}


@pytest.fixture
def state(tmp_path):
    """Return the second of two states."""
    for epoch in (1, 2):
        folder = tmp_path / f"epoch-{epoch}"
        folder.mkdir()
        checksums = {name: write_checked(folder / name, data) for name, data in FILES.items()}
        states.finish(folder, checksums, {"torch": "2"})
    return folder


def emptied(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def a_folder(path):
    path.unlink()
    path.mkdir()


def linked(path):
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize("name", [*FILES, states.CHECKSUMS_FILE])
@pytest.mark.parametrize("damage", [emptied, cut, flipped, a_folder, linked])
def test_a_damaged_state_is_removed_and_the_one_before_is_kept(state, damage, name):
    damage(state / name)
    kept, lost = states.keep_intact(state.parent)
    assert [path.name for path in kept] == ["epoch-1"]
    assert lost == [f"epoch-2/{name}"]
    assert not state.exists()


def test_a_state_is_removed_when_the_next_one_is_intact(state):
    before = state.parent / "epoch-1"
    flipped(state / "history.json")
    with pytest.raises(IntegrityError, match=r"epoch-2/history\.json: expected the bytes"):
        states.supersede(before, state)
    assert states.keep_intact(state.parent)[0] == [before]
    shutil.copytree(before, state)
    states.supersede(before, state)
    assert states.keep_intact(state.parent) == ([state], [])


def test_added_and_deleted_files(state):
    (state / "objective.safetensors").write_bytes(b"")
    (state.parent / "epoch-1" / "history.json").unlink()
    assert states.keep_intact(state.parent) == (
        [],
        ["epoch-1/history.json", "epoch-2/objective.safetensors"],
    )


def test_intact_states_and_notes_stay_and_nothing_else(state):
    root = state.parent
    for name in ("epoch-3.tmp", "store", "other/inner"):
        (root / name).mkdir(parents=True)
    for name in ("perturbed.npy", "lock", "versions.json"):
        (root / name).touch()
    (root / "lock-other").mkdir()
    kept, lost = states.keep_intact(root)
    assert (len(kept), lost) == (2, ["other/checksums.json"])
    assert sorted(path.name for path in root.iterdir()) == [
        *("epoch-1", "epoch-2", "lock", "versions.json")
    ]
    assert states.versions_of(kept[-1]) == {"torch": "2"}
