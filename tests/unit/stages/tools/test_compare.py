"""Two evaluations of thirty digits, written by hand, and every test between them redone."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from ectool.artifacts.artifact import Artifact
from ectool.cli.main import main
from ectool.config import CompareConfig
from ectool.errors import InputError
from ectool.stages.evaluate.metrics import columns
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.tools import compare

N = 30
BOTH = ("cams.zarr", "weights.zarr")


@pytest.fixture(scope="module")
def pair(make_evaluation, tmp_path_factory):
    root = tmp_path_factory.mktemp("pair")
    a = make_evaluation(root / "a", skill=1, seed=0, arrays=BOTH)
    return a, make_evaluation(root / "b", skill=4, seed=1, arrays=BOTH)


@pytest.fixture(scope="module")
def found(pair):
    return compare.run(CompareConfig(a=pair[0], b=pair[1]))


def read_logits(read, path, file, condition):
    return read(path / file)[f"{condition}/logits"].astype(float)


def test_every_metric_of_both_is_compared(found):
    assert set(found["metrics"]) == {
        *("accuracy@original", "robust@2/255", "robust@8/255", "top5_accuracy", "nll", "brier"),
        *("robust_area@linf", "pointing_game", "energy_inside", "content_heatmap", "zero_maps"),
        *("relevance_rank", "mask_iou"),
        *("explanation_consistency", "heatmap_similarity", "prediction_stability"),
    }


def test_right_and_wrong_are_tested_exactly(found, pair, read, few_digits):
    for name, *where in (
        ("accuracy@original", "predictions.zarr", "original"),
        ("robust@2/255", "attacks/pgd5-linf-2_255.zarr", "pgd5-linf-2_255"),
    ):
        a, b = (read_logits(read, p, *where).argmax(1) == few_digits.labels for p in pair)
        entry = found["metrics"][name]
        assert (entry["a"], entry["b"]) == (a.mean(), b.mean())
        assert entry["difference"] == pytest.approx(b.mean() - a.mean())
        only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
        assert entry["p_value"] == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
        assert (entry["test"], entry["n"]) == ("McNemar", N)


def test_other_metrics_are_tested_where_both_are_defined(found, pair, read):
    a, b = (read(p / "weights.zarr")["explanation_consistency"].astype(float) for p in pair)
    entry = found["metrics"]["explanation_consistency"]
    differences = (b - a)[~np.isnan(b - a)]
    assert (entry["test"], entry["n"]) == ("t", N - 1)
    assert entry["difference"] == pytest.approx(differences.mean())
    drawn = bootstrap((differences,), np.mean, rng=np.random.default_rng(5)).confidence_interval
    assert (entry["low"], entry["high"]) == pytest.approx((drawn.low, drawn.high), abs=0.03)
    assert (entry["p_value"] < 0.05) == (entry["low"] > 0 or entry["high"] < 0)


def test_correction_is_over_all_metrics(found):
    entries = sorted(found["metrics"].values(), key=lambda entry: entry["p_value"])
    assert len(entries) == 16
    assert entries[0]["p_holm"] == pytest.approx(16 * entries[0]["p_value"])
    corrected = [entry["p_holm"] for entry in entries]
    assert corrected == sorted(corrected)


def test_better_is_what_the_metric_wants_and_only_beyond_chance(found):
    metrics = found["metrics"]
    assert metrics["nll"]["difference"] < 0
    assert [metrics[name]["better"] for name in ("accuracy@original", "nll", "brier")] == ["b"] * 3
    for entry in metrics.values():
        assert (entry["better"] is not None) == (entry["p_holm"] < found["level"])
    assert metrics["mask_iou"]["better"] is None


def test_swapping_them_swaps_the_verdict(found, pair):
    swapped = compare.run(CompareConfig(a=pair[1], b=pair[0]))
    for name, entry in swapped["metrics"].items():
        other = found["metrics"][name]
        assert entry["difference"] == pytest.approx(-other["difference"])
        assert entry["p_value"] == pytest.approx(other["p_value"])
        assert entry["better"] == {"a": "b", "b": "a", None: None}[other["better"]]


def test_an_evaluation_does_not_differ_from_itself(pair):
    for entry in compare.run(CompareConfig(a=pair[0], b=pair[0]))["metrics"].values():
        assert entry["difference"] == 0
        assert entry["low"] == pytest.approx(-entry["high"])
        assert (entry["high"] > 0) == (entry["test"] == "McNemar")
        assert (entry["p_holm"], entry["better"]) == (1, None)


def test_samples_are_joined_on_their_ids(make_evaluation, found, pair, tmp_path):
    turned = make_evaluation(
        tmp_path / "b", skill=4, seed=1, arrays=("weights.zarr",), reverse=True
    )
    again = compare.run(CompareConfig(a=pair[0], b=turned))
    for name, entry in again["metrics"].items():
        assert {**entry, "p_holm": 0, "better": 0} == {
            **found["metrics"][name],
            "p_holm": 0,
            "better": 0,
        }
    assert "explanation_consistency" in again["metrics"]
    assert "mask_iou" not in again["metrics"]


@pytest.mark.parametrize("only", ["a", "b"])
def test_a_sample_that_only_one_has_is_named(make_evaluation, pair, few_digits, tmp_path, only):
    other = [*few_digits.sample_ids[:-1], "stranger"]
    strange = make_evaluation(tmp_path / "x", skill=1, seed=2, known=other)
    config = {"a": strange, "b": pair[0]} if only == "a" else {"a": pair[0], "b": strange}
    with pytest.raises(InputError, match=r"1 missing, the first .*; evaluate both models on the"):
        compare.run(CompareConfig(**config))


def test_other_images_are_refused(make_evaluation, pair, tmp_path):
    other = make_evaluation(tmp_path / "x", skill=1, seed=2, fingerprint="f" * 64)
    with pytest.raises(InputError, match=r"expected the original images of .*got ffffffffffff;"):
        compare.run(CompareConfig(a=pair[0], b=other))


def test_unequal_attacks_are_not_compared(make_evaluation, pair, tmp_path, listener):
    other = make_evaluation(tmp_path / "x", skill=1, seed=2, restarts=2)
    metrics = compare.run(CompareConfig(a=pair[0], b=other), listener)["metrics"]
    assert not any(name.startswith("robust") for name in metrics)
    assert listener.notes[0].startswith("without attacks/pgd5-linf-2_255.zarr: made with other")


def test_attacks_of_one_are_left_out(make_evaluation, pair, tmp_path):
    stronger = make_evaluation(tmp_path / "x", skill=1, seed=2, steps=7)
    assert "robust@2/255" not in compare.run(CompareConfig(a=pair[0], b=stronger))["metrics"]
    other = make_evaluation(tmp_path / "y", skill=1, seed=2, radii=("8/255", "0.3"))
    names = compare.run(CompareConfig(a=pair[0], b=other))["metrics"]
    assert [name for name in names if name.startswith("robust")] == ["robust@8/255"]


def test_without_the_images_there_is_no_localization(make_evaluation, pair, tmp_path, listener):
    gone = f"imagefolder:{tmp_path / 'gone'}"
    moved = make_evaluation(tmp_path / "x", skill=1, seed=2, arrays=BOTH, data=gone)
    names = compare.run(CompareConfig(a=moved, b=pair[1]), listener)["metrics"]
    assert "mask_iou" not in names
    assert "explanation_consistency" in names
    assert listener.notes[0].startswith("without localization: ")


def test_no_evaluation(tmp_path, pair):
    with pytest.raises(InputError, match="expected evaluation artifact, got no folder"):
        compare.run(CompareConfig(a=pair[0], b=tmp_path / "nothing"))


def test_columns_follow_the_predictions(write, make_evaluation, read, tmp_path):
    path = make_evaluation(tmp_path / "e", skill=2, seed=3, arrays=("weights.zarr",))
    weights = {name: values[::-1] for name, values in read(path / "weights.zarr").items()}
    turned = write(tmp_path / "turned.zarr", "weights", weights)
    with (
        Artifact(path / "predictions.zarr") as predictions,
        Artifact(turned) as other,
    ):
        parts = {"predictions.zarr": predictions, "weights.zarr": other}
        evaluated = Evaluated(("original",), parts, config={}, classes=())
        found = columns(evaluated, ("classification", "stability"))
    np.testing.assert_array_equal(
        found["explanation_consistency"], weights["explanation_consistency"][::-1]
    )


class TestCommandLine:
    def call(self, capsys, *arguments):
        with pytest.raises(SystemExit) as stop:
            main(["compare", *map(str, arguments)])
        captured = capsys.readouterr()
        return stop.value.code, captured.out

    def test_json_is_one_document(self, capsys, pair, found):
        code, out = self.call(capsys, *pair, "--bootstrap", "500", "--json")
        assert code == 0
        assert json.loads(out) == found

    def test_people_read_a_table(self, capsys, pair, found):
        code, out = self.call(capsys, *pair, "--bootstrap", "500")
        lines = out.splitlines()
        assert code == 0
        assert lines[:3] == [f"a: {pair[0]}", f"b: {pair[1]}", "level: 0.05"]
        assert lines[3].split() == list(found["metrics"]["nll"])
        rows = {line.split()[0]: line.split()[1:] for line in lines[4:]}
        assert list(rows) == list(found["metrics"])
        assert rows["accuracy@original"][0] == f"{found['metrics']['accuracy@original']['a']:.4f}"
        assert rows["nll"][-1] == "b"
        assert len({len(line) for line in lines[3:]}) == 1

    def test_a_missed_bound_is_exit_6_and_hides_nothing(self, capsys, pair, found, tmp_path):
        files = ("--md", tmp_path / "a.md", "--junit", tmp_path / "a.xml")
        bounds = ("--require", "accuracy>=baseline,nll<=baseline,accuracy.low>=baseline")
        code, out = self.call(capsys, *pair, "--json", *bounds, *files)
        assert code == 0
        code, out = self.call(capsys, *reversed(pair), "--json", *bounds, *files)
        document = json.loads(out)
        assert code == 6
        assert document["metrics"].keys() == found["metrics"].keys()
        assert [gate["passed"] for gate in document["gates"]] == [False] * 3
        assert len(ET.parse(tmp_path / "a.xml").findall("testsuite/testcase/failure")) == 3
        text = (tmp_path / "a.md").read_text()
        assert text.startswith("### ❌ ectool compare: 3 of 3 gates missed")
        assert all(f"`{name}`" in text for name in found["metrics"])

    def test_a_missing_evaluation_is_exit_3(self, capsys, pair, tmp_path):
        assert self.call(capsys, pair[0], tmp_path / "nothing")[0] == 3
