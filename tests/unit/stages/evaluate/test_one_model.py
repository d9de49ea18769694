"""Metrics redone by hand from the predictions, and the gate behind them."""

from __future__ import annotations

import json
import shutil
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    log_loss,
    top_k_accuracy_score,
)
from written_evaluations import write_as_version_2

from ectool.artifacts import folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.store import read_manifest
from ectool.cli.main import main
from ectool.config import CompareConfig, DataOptions, EvaluateConfig
from ectool.datasets.base import VARIANTS
from ectool.errors import (
    InputError,
    IntegrityError,
    OutputExistsError,
    QualityGateError,
    UsageError,
)
from ectool.stages import evaluate
from ectool.stages.common.inputs import open_data
from ectool.stages.evaluate.definitions import suite_of
from ectool.stages.evaluate.results import read_metrics
from ectool.stages.tools import compare

N = 100
OPTIONS = {"limit": N, "shard_size": 64, "device": "cpu", "eps": (2 / 255, 0.1)}


@pytest.fixture(scope="module")
def config(model, quick_evaluation):
    """Return the configuration of a quick evaluation on the validation digits."""

    def make(output, **options):
        given = {"model": str(model), "split": "validation", "output": output, **OPTIONS}
        return EvaluateConfig(**{**given, **quick_evaluation, **options})

    return make


@pytest.fixture(scope="module")
def evaluation(config, tmp_path_factory):
    return evaluate.run(config(tmp_path_factory.mktemp("evaluation") / "eval")).path


@pytest.fixture
def own(evaluation, model, tmp_path):
    """Return a copy that a test may change, at the same distance from the model."""
    return shutil.copytree(evaluation, tmp_path / "eval")


def metrics_of(folder):
    return {name: entry["value"] for name, entry in read_metrics(folder).items()}


def correct(predictions, condition):
    hits = predictions[f"{condition}/logits"].argmax(axis=1) == predictions["label"]
    return float(np.mean(hits))


def test_every_accuracy_is_a_count_in_the_predictions(evaluation, read):
    metrics = metrics_of(evaluation)
    predictions, others = (read(evaluation / f"{n}.zarr") for n in ("predictions", "backgrounds"))
    assert metrics["accuracy@original"] == pytest.approx(correct(predictions, "original"))
    for variant in VARIANTS[1:]:
        assert metrics[f"accuracy@{variant}"] == pytest.approx(correct(others, variant))
    for radius, condition in (("2/255", "pgd1-linf-2_255"), ("0.1", "pgd1-linf-0.1")):
        attacked = read(evaluation / "attacks" / f"{condition}.zarr")
        assert metrics[f"robust@{radius}"] == pytest.approx(correct(attacked, condition))
    gap = correct(others, "mixed_same") - correct(others, "mixed_rand")
    assert metrics["background_gap"] == pytest.approx(gap)
    names = {"sample_id", "label"}
    assert predictions.keys() == names | {"original/logits"}
    assert others.keys() == names | {f"{variant}/logits" for variant in VARIANTS[1:]}


def test_energy_and_consistency_are_means_over_the_samples(evaluation, read):
    metrics = metrics_of(evaluation)
    scored = read(evaluation / "weights.zarr")["explanation_consistency"]
    assert metrics["explanation_consistency"] == pytest.approx(np.nanmean(scored), rel=1e-5)
    dataset = open_data(DataOptions(limit=N), "validation")
    maps = read(evaluation / "cams.zarr")
    assert maps["sample_id"].tolist() == list(dataset.sample_ids)
    assert 0 < metrics["energy_inside"] < 1
    assert 0 <= metrics["pointing_game"] <= 1
    assert 0 < metrics["mask_iou"] < 1


def test_every_metric_has_an_interval_and_a_meaning(evaluation):
    for name, entry in read_metrics(evaluation).items():
        assert entry["low"] <= entry["value"] <= entry["high"], name
        assert entry["n"] <= N
        assert entry["definition"]


@pytest.mark.slow
def test_data_without_masks_or_variants_has_fewer_metrics(config, bare, tmp_path):
    folder = evaluate.run(
        config(tmp_path / "eval", data=f"imagefolder:{bare}", size=32, split="all")
    ).path
    assert set(metrics_of(folder)) == {
        *("accuracy@original", "robust@2/255", "robust@0.1", "robust_area@linf"),
        *("explanation_consistency", "heatmap_similarity", "prediction_stability"),
        *("consistency_worst", "consistency_noise"),
        *("consistency_jpeg", "sensitivity_max"),
        *("top5_accuracy", "balanced_accuracy", "nll", "brier", "ece"),
    }


def test_probabilities_are_scored_as_scikit_learn_does(evaluation, read):
    predictions, metrics = read(evaluation / "predictions.zarr"), metrics_of(evaluation)
    logits, labels = predictions["original/logits"], predictions["label"]
    chances, classes = softmax(logits.astype(np.float64), axis=1), np.arange(10)
    expected = {
        "nll": log_loss(labels, chances, labels=classes),
        "brier": brier_score_loss(labels, chances, labels=classes, scale_by_half=False),
        "balanced_accuracy": balanced_accuracy_score(labels, logits.argmax(axis=1)),
        "top5_accuracy": top_k_accuracy_score(labels, logits, k=5, labels=classes),
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)


def test_tables_tell_of_every_class_and_every_confidence(evaluation, read):
    results = json.loads((evaluation / "results.json").read_text())
    tables = results["tables"]
    assert [line["name"] for line in tables["classes"]] == [str(digit) for digit in range(10)]
    assert sum(line["n"] for line in tables["classes"]) == N
    means = [line["accuracy"] for line in tables["classes"]]
    assert np.mean(means) == pytest.approx(results["metrics"]["balanced_accuracy"]["value"])
    bins = tables["reliability"]
    assert (len(bins), sum(line["n"] for line in bins)) == (15, N)
    gaps = [
        line["n"] / N * abs(line["accuracy"] - line["confidence"]) for line in bins if line["n"]
    ]
    assert sum(gaps) == pytest.approx(results["metrics"]["ece"]["value"])
    assert all(line["accuracy"] is None for line in bins if not line["n"])


def test_the_chain_reaches_the_model(evaluation):
    manifest = read_manifest(evaluation)
    assert [parent.role for parent in manifest.recipe.parents] == ["model"]
    assert (manifest.length, list(manifest.files)) == (N, ["results.json"])
    assert sorted(path.name for path in evaluation.iterdir()) == [
        *("adv.zarr", "attacks", "backgrounds.zarr", "cams.zarr", "manifest.json"),
        *("predictions.zarr", "results.json", "stability.zarr", "weights.zarr"),
    ]


def test_metrics_are_of_the_suite_that_the_catalogue_says(evaluation, quick_evaluation):
    found = {name: entry["suite"] for name, entry in read_metrics(evaluation).items()}
    assert found == {name: suite_of(name) for name in found}
    assert set(found.values()) == set(quick_evaluation["suite"])


class TestGate:
    @pytest.mark.parametrize("require", ["accuracy@original>=0,background_gap<=100", ""])
    def test_bounds_that_are_met(self, config, evaluation, require):
        bounds = require.split(",") if require else ()
        assert evaluate.run(config(evaluation, require=bounds)).path == evaluation

    def test_the_first_bound_that_is_missed_is_named(self, config, evaluation):
        bounds = ("accuracy@original>=0", "bg_gap<=-99")
        with pytest.raises(
            QualityGateError, match=r"^background_gap: expected <= -99 %, got "
        ) as stop:
            evaluate.run(config(evaluation, require=bounds))
        assert stop.value.exit_code == 6

    def test_a_missed_bound_leaves_everything_written(self, config, own, tree):
        before = tree(own)
        with pytest.raises(QualityGateError, match=r"robust@2/255"):
            evaluate.run(config(own, require=("robust@2/255>=100",)))
        assert tree(own) == before

    def test_undefined_metrics_miss_every_bound(self, config, own):
        text = json.loads((own / "results.json").read_text())
        text["metrics"]["mask_iou"]["value"] = None
        (own / "results.json").write_text(json.dumps(text))
        folder.seal(own, read_manifest(own).recipe, length=N)
        with pytest.raises(QualityGateError, match="mask_iou: expected >= 0 %, got undefined"):
            evaluate.run(config(own, require=("mask_iou>=0",)))

    def test_a_metric_that_was_not_measured(self, config, evaluation):
        with pytest.raises(UsageError, match=r"--require: expected a metric of .* got 'beauty'"):
            evaluate.run(config(evaluation, require=("beauty>=1",)))

    @pytest.fixture
    def call(self, config, own, capsys, tmp_path):
        """Return a function that evaluates again on the command line: code, stdout, stderr."""
        values = config(own).model_dump(mode="json", exclude_defaults=True)
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        file = tmp_path / "options.toml"
        file.write_text("\n".join(["[evaluate]", *lines]))

        def run(*arguments):
            with pytest.raises(SystemExit) as stop:
                main(["evaluate", "--config", str(file), *map(str, arguments)])
            return stop.value.code, *capsys.readouterr()

        return run

    def test_json_holds_metrics_and_every_gate_also_of_a_missed_one(self, call, own):
        code, out, err = call("--require", "accuracy>=0,accuracy.low>=101,nll>=0", "--json")
        document = json.loads(out)
        assert code == 6
        assert document["metrics"] == read_metrics(own)
        assert [gate["passed"] for gate in document["gates"]] == [True, False, True]
        assert document["kind"] == "evaluation"
        assert err.splitlines()[0].endswith("up to date")
        assert err.splitlines()[-1].startswith("error: accuracy@original.low: expected >= 101 %")

    def test_people_read_tables_on_stderr_and_the_path_is_data(self, call, own):
        code, out, err = call("--require", "accuracy>=0")
        assert (code, out) == (0, f"{own}\n")
        names = [line.split()[0] for line in err.splitlines()]
        assert set(read_metrics(own)) <= set(names)
        assert "accuracy@original >= 0 %  passed" in err
        code, out, err = call("--require", "accuracy>=101", "--quiet")
        assert (code, out) == (6, f"{own}\n")
        *warnings, error = err.splitlines()
        assert error.startswith("error: ")
        assert all(line.startswith("warning: ") for line in warnings)

    def test_markdown_is_data_where_it_has_no_file(self, call, own, tmp_path):
        code, out, err = call("--require", "accuracy>=101", "--md", "--junit", tmp_path / "j.xml")
        assert code == 6
        assert out.startswith("### ❌ ectool evaluate: 1 of 1 gate missed\n")
        assert "accuracy@original" in err.splitlines()[-1]
        assert len(ET.parse(tmp_path / "j.xml").findall("testsuite/testcase/failure")) == 1

    def test_noise_against_a_baseline_fails_nothing(self, call, own, evaluation, tmp_path):
        code, out, _ = call("--baseline", evaluation, "--require", "accuracy>=baseline", "--json")
        assert code == 0
        assert json.loads(out)["gates"][0]["baseline"]["difference"] == 0
        assert call("--baseline", evaluation, "--require", "accuracy>=baseline+1")[0] == 0
        assert call("--baseline", evaluation, "--require", "accuracy>=baseline+50")[0] == 6

    def test_a_baseline_of_other_images_is_exit_3(self, call, config, tmp_path):
        options = {"limit": 20, "suite": "classification"}
        other = evaluate.run(config(tmp_path / "other", **options)).path
        code, out, err = call("--baseline", other, "--require", "accuracy>=baseline")
        assert (code, out) == (3, "")
        assert len(err.splitlines()) == 1

    def test_a_bound_of_a_suite_that_is_not_measured_is_refused_at_once(self, config, tmp_path):
        with pytest.raises(UsageError, match=r"of faithfulness; add faithfulness to --suite$"):
            evaluate.run(config(tmp_path / "eval", require=("deletion<=10",)))
        assert list(tmp_path.iterdir()) == []


class TestOutput:
    def test_again_does_nothing(self, config, evaluation, listener):
        files = sorted(evaluation.rglob("*"))
        before = [path.stat().st_mtime_ns for path in files]
        assert not evaluate.run(config(evaluation, batch_size=5), listener).is_new
        assert (listener.notes, listener.tasks) == ([], [])
        assert [path.stat().st_mtime_ns for path in files] == before

    def test_results_of_version_2_are_rewritten_without_the_model(
        self, config, own, tree, listener
    ):
        before = tree(own)
        write_as_version_2(own)
        assert tree(own) != before
        assert evaluate.run(config(own), listener).is_new
        assert tree(own) == before
        assert listener.tasks == []

    def test_results_of_version_2_are_compared(self, own, evaluation):
        write_as_version_2(own)
        found = compare.run(CompareConfig(a=own, b=evaluation))
        assert found["metrics"]["accuracy@original"]["difference"] == 0

    def test_another_key_needs_force(self, config, own, tree, tmp_path):
        before = tree(own)
        with pytest.raises(OutputExistsError, match="--force to move it aside"):
            evaluate.run(config(own, limit=20))
        assert tree(own) == before
        evaluate.run(config(own, limit=20, force=True))
        (aside,) = tmp_path.glob("eval.old-*")
        assert tree(aside) == before

    def test_something_else_is_in_the_way(self, config, tmp_path):
        (tmp_path / "eval").mkdir()
        (tmp_path / "eval" / "diary.txt").write_text("dear")
        with pytest.raises(OutputExistsError, match="got something without a manifest"):
            evaluate.run(config(tmp_path / "eval"))

    def test_what_is_missing_is_made_again(self, config, own, tree, listener):
        before = tree(own)
        (own / "manifest.json").unlink()
        (own / "results.json").unlink()
        shutil.rmtree(own / "weights.zarr")
        evaluate.run(config(own), listener)
        assert tree(own) == before
        assert [name for name, _ in listener.tasks] == ["part 9 of 10: explanation consistency"]

    def test_damage_inside_is_repaired_with_resume(self, config, own, tree, flip, listener):
        before = tree(own)
        flip(own / "predictions.zarr/original/logits/c/1/0", 99)
        flip(own / "weights.zarr/similarity/c/0", 99)
        assert evaluate.run(config(own, resume=True), listener).is_new
        for aside in own.glob("*.old-damaged"):
            shutil.rmtree(aside)
        assert tree(own) == before
        assert len([note for note in listener.notes if "damaged shards" in note]) == 2
        assert not evaluate.run(config(own, resume=True)).is_new

    def test_damaged_results_are_not_read(self, own, flip):
        flip(own / "results.json", 200)
        with pytest.raises(IntegrityError, match=r"results\.json: expected the bytes that were"):
            read_metrics(own)


def test_another_number_of_classes(config, images, tmp_path):
    options = {"data": f"imagefolder:{images}", "size": 32, "split": "train"}
    with pytest.raises(InputError, match=r"expected the model.s 10 classes .*got 2 classes"):
        evaluate.run(config(tmp_path / "eval", **options))


def test_predictions_do_not_depend_on_the_batch(config, few, read, tmp_path):
    options = {"data": f"imagefolder:{few}", "size": 32, "split": "all"}
    options["suite"] = "classification"
    one, other = (
        read(
            evaluate.run(config(tmp_path / str(n), batch_size=n, **options)).path
            / "predictions.zarr"
        )
        for n in (1, 30)
    )
    np.testing.assert_allclose(
        one["original/logits"], other["original/logits"], rtol=1e-4, atol=1e-5
    )
    with Artifact(tmp_path / "1" / "predictions.zarr") as artifact:
        assert artifact.verify() == []
