from __future__ import annotations

from pathlib import Path

import pytest
from written_evaluations import write_audit, write_evaluation

from ectool.artifacts import folder
from ectool.artifacts.manifest import DataSource, Recipe
from ectool.errors import InputError, IntegrityError
from ectool.stages.report.sources import path_labels, read_sources


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/run/a/eval", "/run/b/eval"], ["a", "b"]),
        (["/run/a/1/eval", "/run/b/2/eval"], ["a/1", "b/2"]),
        (["/run/a/eval"], ["eval"]),
        (["/run/a", "/run/a/b"], ["a", "a/b"]),
        (["/x/eval", "/x/other"], ["eval", "other"]),
        (["/a/b/a", "/a/a"], ["b/a", "a"]),
        (["/r/a/a", "/r/a"], ["a/a", "a"]),
    ],
)
def test_labels_distinguish_paths(paths, names):
    assert path_labels([Path(path) for path in paths]) == names


def test_evaluations_are_named_by_their_distinct_parts(tmp_path):
    for name, accuracy in (("a", 0.25), ("b", 0.75)):
        write_evaluation(tmp_path / name / "eval", {"accuracy@original": accuracy})
    sources = read_sources([tmp_path / "b" / "eval", tmp_path / "a" / "eval"])
    assert [(e.name, e.group) for e in sources.entries] == [("b", "b"), ("a", "a")]
    assert [e.evaluation.value("accuracy@original") for e in sources.entries] == [0.75, 0.25]
    assert sources.folders["b"] == (tmp_path / "b" / "eval").resolve()


def test_repeated_paths_are_read_once(tmp_path):
    write_evaluation(tmp_path / "a", {"accuracy@original": 0.5})
    sources = read_sources([tmp_path / "a", tmp_path / "." / "a"])
    assert [entry.name for entry in sources.entries] == ["a"]


def test_data_are_named(tmp_path):
    source = DataSource(data="digits", split="test", options={}, fingerprint="f" * 64)
    write_evaluation(tmp_path / "a", {"accuracy@original": 0.5}, source)
    (entry,) = read_sources([tmp_path / "a"]).entries
    assert entry.data == f"digits (test, {'f' * 12})"


def test_audit(tmp_path):
    write_audit(tmp_path / "audit", ("small", "large"), {"broken": "no <weights>"})
    sources = read_sources([tmp_path / "audit"])
    assert [entry.name for entry in sources.entries] == ["small", "large"]
    assert [(one.name, one.error) for one in sources.failures] == [("broken", "no <weights>")]


def test_two_audits_of_models_of_the_same_name(tmp_path):
    for name in ("one", "two"):
        write_audit(tmp_path / name, ("small",), {})
    sources = read_sources([tmp_path / "one", tmp_path / "two"])
    assert [entry.name for entry in sources.entries] == ["one/small", "two/small"]


def test_an_audit_whose_evaluation_was_changed(tmp_path):
    write_audit(tmp_path, ("small",), {})
    results = tmp_path / "small" / "results.json"
    results.write_text(results.read_text().replace("0.5", "0.9"))
    with pytest.raises(IntegrityError, match=r"results\.json"):
        read_sources([tmp_path])


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"experiment, of an evaluation or of an audit, got no "):
        read_sources([tmp_path])
    with pytest.raises(InputError, match="got no such folder"):
        read_sources([tmp_path / "nowhere"])


def test_other_artifacts_are_refused(tmp_path):
    folder.seal(tmp_path, Recipe(kind="model", stage="train", config={}))
    with pytest.raises(InputError, match="expected evaluation artifact, got model"):
        read_sources([tmp_path])
