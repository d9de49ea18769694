"""A miniature study: files, resuming, and refused files."""

import json

import numpy as np
import pytest

from ectool.config import ValidityConfig, VerifyConfig
from ectool.errors import InputError, IntegrityError, UsageError
from ectool.stages.tools import verify
from ectool.stages.validity.command import run
from ectool.stages.validity.draws import COMPARED
from ectool.stages.validity.plan import open_study
from ectool.stages.validity.tables import read_table
from tests.unit.artifacts.integrity.flips import flipped


def test_the_page_and_its_numbers_are_written(study):
    document = json.loads((study.folder / "validity.json").read_bytes())
    assert [one["epoch"] for one in document["records"]] == [1, 2]
    assert document["images"] == 20
    roles = [score["role"] for score in document["scores"]]
    assert roles[:3] == ["clean loss", "chosen", "default so far"]
    assert document["test"]
    assert document["test_contrasts"]
    text = (study.folder / "validity.md").read_text()
    assert "## Differences" in text
    assert "replace/gradcam/0.7" in text
    page = (study.folder / "validity.html").read_text()
    assert page.count("<table>") == page.count("</table>") >= 6
    assert page.count("<svg") == 2


def test_page_text_and_tables_are_verified(study):
    (verdict,) = [one for one in verified(study.folder) if one["kind"] != "model"]
    assert (verdict["kind"], verdict["state"]) == ("validity", "intact")
    table = next((study.folder / "tables").rglob("*.npz"))
    with flipped(table, 100):
        (damaged,) = [one for one in verified(study.folder) if one["state"] == "damaged"]
        name = table.relative_to(study.folder).as_posix()
        assert damaged["problems"] == [f"{name}: not as it was written"]


def verified(folder):
    """Return the verdicts of `ectool verify`."""
    try:
        return verify.run(VerifyConfig(paths=(folder,))).document["artifacts"]
    except IntegrityError as error:
        return error.result.document["artifacts"]


def test_a_finished_study_computes_nothing(study, config):
    before = {path: path.stat().st_mtime_ns for path in study.folder.rglob("*") if path.is_file()}
    assert not run(config).is_new
    after = {path: path.stat().st_mtime_ns for path in study.folder.rglob("*") if path.is_file()}
    assert before == after


def test_a_lost_table_is_computed_again_to_the_same_numbers(study, config):
    first = next(study.checkpoints())
    path = study.table(first, COMPARED)
    before, page = read_table(path), (study.folder / "validity.json").read_bytes()
    path.unlink()
    assert run(config).is_new
    after = read_table(path)
    assert before.record == after.record
    assert before.columns.keys() == after.columns.keys()
    for name, values in before.columns.items():
        np.testing.assert_array_equal(values, after.columns[name], err_msg=name)
    assert (study.folder / "validity.json").read_bytes() == page


def test_a_damaged_table_is_named(study, tmp_path):
    damaged = tmp_path / "table.npz"
    damaged.write_bytes(b"PK no table")
    with pytest.raises(IntegrityError, match="expected a table of this study"):
        read_table(damaged)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = [1, 2]", "epochs = [1, 3]", r"epochs: expected epochs of a schedule of 2"),
        ("[train]", "[train]\nrho = 0.3", r"\[train\] rho: expected options other than data"),
        ("/8|cosine", "/16|cosine", r"\[study\] default: expected one of pgd/gradcam"),
        ("0.7|pearson|", "0.7|", r"\[study\] chosen: expected KIND/MAP/AMOUNT"),
        ("donors = 2", "donors = 0", r"\[study\] donors: expected greater than or equal to 1"),
        ("rho = [0.5]", "rho = [2]", r"\[study\] rho: expected one or more shares"),
        ("[study]", "[experiment]", r"expected a table \[study\], got none"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_at_once(file, tmp_path, old, new, message):
    path = tmp_path / "bad.toml"
    path.write_text(file.read_text().replace(old, new))
    with pytest.raises(UsageError, match=message):
        open_study(ValidityConfig(file=path, output=tmp_path / "out"))


def test_data_without_masks_are_refused(bare, file, tmp_path):
    path = tmp_path / "bare.toml"
    text = file.read_text().replace("[study]", f'[study]\ndata = ["imagefolder:{bare}"]')
    text = text.replace("epochs = 2", 'epochs = 2\nsize = 32\nsplit = "all"')
    path.write_text(text.replace("draws = 1", 'draws = 1\nsplit = "all"'))
    with pytest.raises((InputError, UsageError), match="expected"):
        run(ValidityConfig(file=path, output=tmp_path / "out", device="cpu"))
