"""Up-to-date checks of reports: a small experiment with changes, compared with new ones."""

from __future__ import annotations

import json
import shutil

import pytest

from ectool.config import EvaluateConfig, ReportConfig, RunConfig
from ectool.errors import IntegrityError, QualityGateError
from ectool.stages import evaluate, report
from ectool.stages import run as experiment
from ectool.types import Outcome

FILE = """
[defaults]
data = "imagefolder:{images}"
size = 16

[experiment]
title = "Small"
seeds = [3]
warmup = 0.5

[experiment.arms.plain]

[experiment.arms.consistency]
reweight = "consistency"

[train]
epochs = 2
batch_size = 16

[perturb]
steps = 1

[evaluate]
split = "train"
suite = ["classification"]
bootstrap = 100
"""
PLAIN = "[experiment.arms.plain]"
ARMS = f'{PLAIN}\n\n[experiment.arms.consistency]\nreweight = "consistency"'
EVALUATION = "seed-3/plain/eval"
WRITTEN = ("experiment.json", "report.html", "report.json", "strip.png")
RECORDED = set(WRITTEN[:3])
RESULTS = tuple(f"seed-3/{arm}/eval/results.json" for arm in ("plain", "consistency"))


@pytest.fixture(scope="module")
def text(images):
    return FILE.format(images=images)


def run(folder, text, **given):
    """Run an experiment file in a folder; return whether anything was new."""
    file = folder.parent / "file.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    config = RunConfig(file=file, output=folder, device="cpu", threads=1, **given)
    outcome = experiment.run(config)
    assert outcome.path == folder
    return outcome.is_new


@pytest.fixture(scope="module")
def made(text, data_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "out"
    run(folder, text)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """Return a copy that may be changed."""
    return shutil.copytree(made, tmp_path / "copy" / "out")


def contents(folder, names=WRITTEN + RESULTS):
    return {name: (folder / name).read_bytes() for name in names}


def test_nothing_is_written_without_changes(folder, text, tree):
    before = tree(folder)
    assert not run(folder, text)
    assert tree(folder) == before


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("bootstrap = 100", "bootstrap = 150", {"report.html", "report.json", *RESULTS}),
        pytest.param('"Small"', '"Large"', RECORDED, marks=pytest.mark.slow),
        pytest.param(
            *(ARMS, "\n\n".join(reversed(ARMS.split("\n\n"))), RECORDED), marks=pytest.mark.slow
        ),
        pytest.param(f"{PLAIN}\n\n", "", RECORDED, marks=pytest.mark.slow),
        pytest.param(
            *('["classification"]', '["classification", "debiasing"]', {"report.json", *RESULTS}),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_another_option_reaches_the_report(folder, text, tmp_path, old, new, changed):
    before = contents(folder)
    assert run(folder, text.replace(old, new))
    after = contents(folder)
    assert changed <= {name for name in after if after[name] != before[name]}
    fresh = tmp_path / "fresh" / "out"
    run(fresh, text.replace(old, new))
    names = [name for name in after if name not in RESULTS or (fresh / name).exists()]
    assert contents(folder, names) == contents(fresh, names)
    assert not run(folder, text.replace(old, new))


def test_a_report_that_was_left_out_is_made_by_the_next_run(folder, text):
    changed, before = text.replace("bootstrap = 100", "bootstrap = 150"), contents(folder)
    assert run(folder, changed, report=False)
    assert not run(folder, changed, report=False)
    between = contents(folder)
    assert {name for name in before if before[name] != between[name]} == set(RESULTS)
    assert run(folder, changed)
    after = contents(folder)
    assert {name for name in after if after[name] != between[name]} == {
        "report.html",
        "report.json",
    }


def test_bounds_change_no_file_and_a_missed_one_keeps_the_report_for_the_next_run(folder, text):
    met, before = f'{text}require = "accuracy>=0"\n', contents(folder)
    assert not run(folder, met)
    missed = text.replace("bootstrap = 100", 'bootstrap = 150\nrequire = "accuracy>=101"')
    with pytest.raises(QualityGateError, match=r"accuracy@original: expected >= 101 %"):
        run(folder, missed)
    assert contents(folder, WRITTEN) == {name: before[name] for name in WRITTEN}
    assert run(folder, text.replace("bootstrap = 100", "bootstrap = 150"))
    after = contents(folder)
    assert all(after[name] != before[name] for name in ("report.html", "report.json"))


FAULTS = [
    ("gone", "report.json"),
    ("edited", "report.html"),
    ("edited", "report.json"),
    *(
        pytest.param(fault, name, marks=pytest.mark.slow)
        for fault, name in (
            *(("cut", name) for name in WRITTEN[1:]),
            *(("gone", "report.html"), ("gone", "strip.png"), ("edited", "strip.png")),
        )
    ),
]


@pytest.mark.parametrize(("fault", "name"), FAULTS)
def test_a_changed_report_is_written_again(folder, text, name, fault):
    before, file = contents(folder), folder / name
    if fault == "gone":
        file.unlink()
    elif fault == "cut":
        file.write_bytes(before[name][: len(before[name]) // 2])
    elif name == "report.json":
        document = json.loads(before[name])
        document["models"][0]["name"] = "another"
        file.write_text(json.dumps(document))
    else:
        file.write_bytes(before[name] + b" ")
    assert run(folder, text)
    assert contents(folder) == before


@pytest.mark.slow
def test_a_report_of_another_experiment_is_replaced(folder, text, tmp_path):
    other = tmp_path / "other" / "out"
    run(other, text.replace("seeds = [3]", "seeds = [4]"))
    before = contents(folder)
    for name in ("report.html", "report.json", "strip.png"):
        shutil.copy(other / name, folder / name)
    run(folder, text)
    assert contents(folder) == before


def test_a_new_evaluation_is_shown(folder, images):
    output = folder / EVALUATION
    before = contents(folder)
    assert report.run(ReportConfig(paths=folder)) == Outcome(folder / "report.html", is_new=False)
    evaluate.run(
        EvaluateConfig(
            model=str(folder / "seed-3/plain/model"),
            **{"data": f"imagefolder:{images}", "size": 16, "split": "train", "device": "cpu"},
            **{"suite": "classification", "bootstrap": 300, "output": output},
        )
    )
    assert report.run(ReportConfig(paths=folder)).is_new
    numbers = json.loads((folder / "report.json").read_text())
    shown = {one["name"]: one for one in numbers["models"]}["plain, seed 3"]
    results = json.loads((output / "results.json").read_text())["metrics"]
    for name, metric in results.items():
        assert shown["metrics"][name]["low"] == metric["low"], name
    after = contents(folder)
    assert all(after[name] != before[name] for name in ("report.html", "report.json"))


@pytest.mark.slow
def test_figures_and_tables_are_always_written(folder, tmp_path):
    tables = tmp_path / "tables"
    report.run(ReportConfig(paths=folder, tables=tables))
    first = {path.name: path.read_bytes() for path in tables.iterdir()}
    for path in tables.iterdir():
        path.write_text("old")
    report.run(ReportConfig(paths=folder, tables=tables))
    assert {path.name: path.read_bytes() for path in tables.iterdir()} == first


def test_edited_results_and_histories_are_detected(folder):
    for name in ("seed-3/plain/model/history.json", f"{EVALUATION}/results.json"):
        file = folder / name
        before = file.read_bytes()
        file.write_bytes(before + b" ")
        with pytest.raises(IntegrityError, match=file.name):
            report.run(ReportConfig(paths=folder))
        file.write_bytes(before)
