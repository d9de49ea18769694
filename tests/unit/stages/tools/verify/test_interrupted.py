"""What a kill alone leaves is complete or incomplete; what has changed otherwise is damaged."""

from __future__ import annotations

import shutil

import pytest

from ectool.artifacts.jobs.writers import lock_of
from ectool.config import VerifyConfig
from ectool.errors import IntegrityError
from ectool.stages.tools import verify
from tests.unit.artifacts.integrity.flips import flipped

ROUND, EVALUATION = "seed-0/ec/1", "seed-0/ec/eval"


def states(*paths):
    """Return the states of everything but intact artifacts."""
    try:
        document = verify.run(VerifyConfig(paths=paths)).document
    except IntegrityError as error:
        document = error.result.document
    found = {one["path"]: one["state"] for one in document["artifacts"]}
    return {path: state for path, state in found.items() if state != "intact"}


def locked(output):
    """Leave the lock of a killed process beside an output."""
    lock_of(output).write_text('{"pid": 1, "host": "another"}')
    return str(lock_of(output))


def test_a_lock_beside_a_complete_output_is_no_fault(made):
    names = (f"{ROUND}/adv.zarr", "more/maps.h5", f"{ROUND}/model", EVALUATION, "report.json")
    locks = [locked(made / name) for name in names]
    assert states(made) == dict.fromkeys(locks, "unknown")


@pytest.mark.parametrize("name", ["more/maps.h5", f"{ROUND}/model"])
def test_a_lock_beside_a_damaged_artifact_hides_nothing(made, name):
    output = made / name
    file = next(path for path in (output, *sorted(output.rglob("*"))) if path.is_file())
    expected = {str(output): "damaged", locked(output): "incomplete"}
    with flipped(file, file.stat().st_size // 2):
        assert states(output.parent).items() >= expected.items()


def test_of_an_output_that_is_missing_its_rest_is_found(made):
    output = made / "more/maps.h5"
    output.unlink()
    folder = output.with_name(f"{output.name}.partial-0123456789abcdef")
    folder.mkdir()
    expected = {locked(output): "incomplete", str(folder): "incomplete"}
    assert states(output) == states(output.parent) == expected


def test_the_lock_of_a_whole_run_says_that_more_follows(made, monkeypatch):
    expected = {locked(made): "incomplete"}
    assert states(made) == expected
    monkeypatch.chdir(made)
    assert states(".") == expected


def test_a_report_is_replaced_file_by_file(made):
    document, page = made / "report.json", made / "report.html"
    page.write_text("the page before")
    assert states(document) == {str(document): "damaged"}
    locked(document)
    assert states(document) == {str(document): "incomplete"}
    page.unlink()
    assert states(document) == {str(document): "incomplete"}
    with flipped(document, document.stat().st_size // 2):
        assert states(document) == {str(document): "damaged"}


def test_artifacts_of_a_run_are_replaced_one_by_one(made):
    lock = locked(made)
    shutil.rmtree(made / ROUND / "model")
    assert states(made) == {str(made / "experiment.json"): "incomplete", lock: "incomplete"}


@pytest.mark.parametrize("place", [EVALUATION, "seed-0/ec"])
def test_parts_of_an_evaluation_are_replaced_before_its_results(made, place):
    shutil.rmtree(made / EVALUATION / "predictions.zarr")
    locked(made / place)
    folder, results = made / EVALUATION, made / EVALUATION / "results.json"
    assert states(folder) == {str(folder): "incomplete"}
    with flipped(results, results.stat().st_size // 2):
        assert states(folder) == {str(folder): "damaged"}
