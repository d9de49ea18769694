"""A whole run is walked; every damaged, missing and unfinished part is named."""

from __future__ import annotations

import os
import shutil

import pytest

from ectool.config import InspectConfig, VerifyConfig
from ectool.errors import InputError, IntegrityError
from ectool.stages.tools import inspect, verify
from tests.unit.artifacts.integrity.flips import flipped

KINDS = {"experiment", "report", "evaluation", "model", "samples", "heatmaps", "weights"}


def verified(*paths):
    """Return the JSON of a verification, also of one that fails."""
    try:
        return verify.run(VerifyConfig(paths=paths)).document
    except IntegrityError as error:
        return error.result.document


def states(*paths):
    return {one["path"]: one["state"] for one in verified(*paths)["artifacts"]}


def damaged(root):
    """Return what is not intact, relative to the root, with its problems."""
    return {
        os.path.relpath(one["path"], root): one["problems"]
        for one in verified(root)["artifacts"]
        if one["state"] in ("damaged", "incomplete")
    }


def test_an_intact_run(made):
    found = verified(made)
    assert {one["kind"] for one in found["artifacts"]} == KINDS | {"predictions"}
    assert found["summary"] == {"intact": 9, "damaged": 0, "incomplete": 0, "unknown": 0}
    summary = verify.run(VerifyConfig(paths=(made,)))
    assert summary.tables[0]["heatmaps"] == {
        **{"intact": 2, "damaged": None, "incomplete": None, "unknown": None}
    }


def test_a_flipped_bit_in_any_file_of_a_run_is_found(made):
    files = [path for path in sorted(made.rglob("*")) if path.is_file()]
    for file in files[:: len(files) // 3]:
        with flipped(file, file.stat().st_size // 2):
            assert damaged(made), file


@pytest.mark.slow
def test_a_flipped_bit_in_any_byte_class_of_every_file_is_found(made):
    for file in sorted(path for path in made.rglob("*") if path.is_file()):
        for part in (0, 1, 2, 3):
            with flipped(file, part * (file.stat().st_size - 1) // 3, part):
                assert damaged(made), (file, part)


def test_every_missing_file_of_a_run_is_found(made):
    for name in (
        *("report.html", "seed-0/ec/1/weights.zarr", "seed-0/ec/1/model/manifest.json"),
        *("seed-0/ec/1/adv.zarr/manifest.json", "seed-0/ec/eval/predictions.zarr"),
    ):
        aside = made.parent / "aside"
        shutil.move(made / name, aside)
        assert damaged(made), name
        shutil.move(aside, made / name)
    assert damaged(made) == {}


def test_problems_are_named(made):
    (made / "seed-0/ec/1/model/mine.txt").write_text("")
    (made / "seed-0/ec/1/cams.zarr/clean/c/1/0/0").unlink()
    record = made / "experiment.json"
    record.write_text(record.read_text().replace('"title": "t"', '"title": "u"'))
    assert damaged(made) == {
        "experiment.json": ["experiment.json: not as it was written"],
        "seed-0/ec/1/cams.zarr": ["shard 1 of `clean`: not as it was written"],
        "seed-0/ec/1/model": ["mine.txt: not of this artifact"],
    }
    with pytest.raises(IntegrityError, match=r"9 files and artifacts .* got 3 damaged"):
        verify.run(VerifyConfig(paths=(made,)))


def test_inspect_reads_what_an_evaluation_contains(made):
    path = made / "seed-0/ec/eval"
    whole = InspectConfig(artifact=path, verify=True)
    assert inspect.run(whole)["verified"]
    with flipped(path / "predictions.zarr/label/c/0", 5):
        with pytest.raises(IntegrityError, match=r"got predictions\.zarr: shard 0 of `label`"):
            inspect.run(whole)
        assert not inspect.run(InspectConfig(artifact=path))["verified"]
    (path / "predictions.zarr/manifest.json").unlink()
    with pytest.raises(IntegrityError, match=r"got predictions\.zarr: "):
        inspect.run(whole)


def test_a_part_of_an_evaluation_that_is_a_link_is_damage(made, tmp_path):
    """Other commands would read what the link leads to; verify follows no link."""
    part = made / "seed-0/ec/eval/predictions.zarr"
    part.symlink_to(part.rename(tmp_path / "elsewhere.zarr"))
    assert "seed-0/ec/eval" in damaged(made)


def test_links_in_a_circle_are_not_followed(made):
    (made / "circle").symlink_to("circle")
    assert states(made)[str(made / "circle")] == "unknown"


def test_what_is_unfinished_is_incomplete(made):
    (made / "seed-0/ec/2/adv.zarr.partial-0123456789abcdef").mkdir(parents=True)
    assert states(made / "seed-0/ec/2") == {
        str(made / "seed-0/ec/2/adv.zarr.partial-0123456789abcdef"): "incomplete"
    }


def test_links_are_not_followed_and_files_of_others_are_unknown(made):
    (made / "up").symlink_to(made)
    (made / "notes.txt").write_text("mine")
    os.mkfifo(made / "pipe")
    found = states(made)
    assert [found[str(made / name)] for name in ("up", "notes.txt", "pipe")] == ["unknown"] * 3
    assert verified(made)["summary"] == {
        **{"intact": 9, "damaged": 0, "incomplete": 0, "unknown": 3}
    }


def test_folders_in_folders_have_an_end(made):
    deep = made / "/".join("d" * 400)
    deep.mkdir(parents=True)
    (verdict,) = [one for one in verified(made)["artifacts"] if one["state"] == "unknown"]
    assert verdict["problems"] == ["d: more than 64 folders deep"]


def test_paths_that_hold_nothing(made, tmp_path):
    with pytest.raises(InputError, match="expected something that ectool has written, got no such"):
        verify.run(VerifyConfig(paths=(tmp_path / "none",)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="got nothing of it"):
        verify.run(VerifyConfig(paths=(made, tmp_path / "empty")))
