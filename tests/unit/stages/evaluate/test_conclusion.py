from __future__ import annotations

import json
import shutil
from xml.etree import ElementTree as ET

import pytest

from ectool.config import EvaluateConfig
from ectool.errors import FailedModelsError, QualityGateError
from ectool.stages.evaluate.conclusion import conclude
from ectool.stages.evaluate.gates.parse import parse_bounds
from ectool.stages.evaluate.leaderboard import Standing
from ectool.stages.evaluate.results import read_metrics
from ectool.types import Outcome


@pytest.fixture(scope="module")
def audit(make_evaluation, tmp_path_factory):
    """Return a folder of six evaluations: three of a model without skill, three of a good one."""
    root = tmp_path_factory.mktemp("audit")
    for skill in (0, 5):
        make_evaluation(root / f"m{skill}", skill=skill, seed=skill)
    for number in range(1, 5):
        shutil.copytree(root / ("m0" if number < 3 else "m5"), root / f"m{number}")
    return root


def standings_of(root, names):
    return [Standing(name, name, "ok", None, name, read_metrics(root / name)) for name in names]


def run(output, standings, *require, **options):
    options = {"models": "x"} | options if len(standings) > 1 else {"model": "x"} | options
    config = EvaluateConfig(output=output, require=require, **options)
    bounds = parse_bounds(require, config.suite, has_baseline=config.baseline is not None)
    return conclude(config, Outcome(output, is_new=False), bounds, standings)


def test_one_model_has_its_metrics_and_gates(audit):
    path = audit / "m3"
    metrics = read_metrics(path)
    summary = run(path, [Standing("", "m", "ok", None, "", metrics)], "nll>=0").summary
    assert summary.text is None
    assert summary.document["metrics"] == metrics
    assert (summary.document["passed"], len(summary.document["gates"])) == (True, 1)
    measured, gates = summary.tables
    assert set(measured) == set(metrics)
    value = f"{100 * metrics['accuracy@original']['value']:.1f}"
    assert measured["accuracy@original"]["value"] == value
    assert gates["nll >= 0"]["gate"] == "passed"


def test_a_missed_gate_keeps_the_outcome(audit, tmp_path):
    path, junit = audit / "m0", tmp_path / "j.xml"
    one = [Standing("", "m", "ok", None, "", read_metrics(path))]
    bounds = ("nll>=0", "accuracy>=baseline-1", "accuracy.low>=99", "nll<=baseline")
    with pytest.raises(QualityGateError, match=r"^accuracy@original: .*2 more of 4") as stop:
        run(path, one, *bounds, baseline=audit / "m5", junit=junit)
    document = stop.value.result.summary.document
    assert [gate["passed"] for gate in document["gates"]] == [True, False, False, False]
    assert document["metrics"] == one[0].metrics
    cases = ET.parse(junit).findall("testsuite/testcase")
    assert [case.find("failure") is None for case in cases] == [True, False, False, False]


def test_models_stand_next_to_each_other_four_at_a_time(audit):
    names = [f"m{skill}" for skill in range(6)]
    summary = run(audit, standings_of(audit, names), "nll>=0", "accuracy>=0").summary
    first, second, gates = summary.tables
    assert [list(table["nll"]) for table in (first, second)] == [names[:4], names[4:]]
    assert len(gates) == len(summary.document["gates"]) == 12
    assert [one["name"] for one in summary.document["models"]] == names


def test_failed_models_come_first_and_hide_no_gate(audit, tmp_path):
    standings = [*standings_of(audit, ["m0", "m5"]), Standing("bad", "b", "failed", "no weights")]
    files = {"md": tmp_path / "a.md", "junit": tmp_path / "a.xml"}
    with pytest.raises(FailedModelsError, match="got 1 that failed: bad") as stop:
        run(audit, standings, "accuracy>=50", **files)
    document = stop.value.result.summary.document
    assert [gate["passed"] for gate in document["gates"]] == [False, True]
    assert [one["status"] for one in document["models"]] == ["ok", "ok", "failed"]
    assert "❌ ectool evaluate: 1 of 2 gates missed, 1 model failed" in files["md"].read_text()
    suite = ET.parse(files["junit"]).find("testsuite")
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["3", "1", "1"]
    assert json.dumps(document, allow_nan=False)
