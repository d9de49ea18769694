"""Attacks and corruptions of thirty digits: metrics redone from the artifacts and the model."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from ectool.config import EvaluateConfig
from ectool.corruptions import corrupt
from ectool.errors import InputError
from ectool.models.classifier import to_pixels
from ectool.stages import evaluate
from ectool.stages.evaluate.suites.robustness import applicable

CPU = torch.device("cpu")
LINF, L2 = (1 / 255, 4 / 255), (0.5,)
ATTACKS = ("fgsm", "pgd", "background", "apgd-ce", "apgd-t")
KINDS = ("fog", "contrast", "saturate")
NAMES = {
    "fgsm": ("robust_fgsm", "fgsm"),
    "pgd": ("robust", "pgd3"),
    "apgd-ce": ("robust_apgd-ce", "apgd-ce3"),
    "apgd-t": ("robust_apgd-t", "apgd-t3"),
}
"""Name of the metric and beginning of the condition."""


@pytest.fixture(scope="module")
def config(model, few_options):
    def make(output, **options):
        given = {"suite": ("robustness",), "steps": 3, "bootstrap": 100, "corruptions": KINDS}
        given |= {
            "shard_size": 16,
            "eps": LINF,
            "eps_l2": L2,
            "attacks": ATTACKS,
            "model": str(model),
        }
        return EvaluateConfig(**{**few_options, **given, "output": output, **options})

    return make


@pytest.fixture(scope="module")
def evaluation(config, tmp_path_factory):
    return evaluate.run(config(tmp_path_factory.mktemp("robustness") / "eval")).path


@pytest.fixture(scope="module")
def results(evaluation):
    return json.loads((evaluation / "results.json").read_text())


def values(results):
    return {name: entry["value"] for name, entry in results["metrics"].items()}


def right(arrays, condition):
    return arrays[f"{condition}/logits"].argmax(axis=1) == arrays["label"]


@pytest.fixture(scope="module")
def attacked(evaluation, read):
    """Return which samples are recognised under each attack, by metric."""
    found = {}
    for metric, start in (*NAMES.values(), ("robust_background", "pgd3")):
        for norm, radii in (("linf", ("1/255", "4/255")), ("l2", ("0.5",))):
            for eps in radii:
                name = f"{start}-{norm}-{eps.replace('/', '_')}"
                name += "-background" * (metric == "robust_background")
                radius = eps if norm == "linf" else f"l2-{eps}"
                if metric != "robust_background" or norm == "linf":
                    arrays = read(evaluation / "attacks" / f"{name}.zarr")
                    assert arrays.keys() == {"sample_id", "label", f"{name}/logits"}
                    found[f"{metric}@{radius}"] = right(arrays, name)
    return found


def test_every_robust_accuracy_is_a_count_in_its_artifact(attacked, results):
    counts = {name: correct.mean() for name, correct in attacked.items()}
    assert {name: values(results)[name] for name in counts} == pytest.approx(counts)


def test_clean_errors_stay_errors_and_keep_their_logits(evaluation, attacked, read):
    clean = read(evaluation / "predictions.zarr")
    wrong = ~right(clean, "original")
    assert 0 < wrong.sum() < len(wrong)
    for name, correct in attacked.items():
        assert not correct[wrong].any(), name
    (logits,) = (
        array
        for name, array in read(evaluation / "attacks/pgd3-linf-4_255.zarr").items()
        if name.endswith("logits")
    )
    assert np.array_equal(logits[wrong], clean["original/logits"][wrong])
    assert (logits[~wrong] != clean["original/logits"][~wrong]).any(axis=1).all()


def test_the_worst_counts_what_survives_every_attack(attacked, results):
    for radius in ("1/255", "4/255", "l2-0.5"):
        survived = np.all([attacked[f"{metric}@{radius}"] for metric, _ in NAMES.values()], axis=0)
        assert values(results)[f"robust_worst@{radius}"] == pytest.approx(survived.mean())


def test_the_area_lies_under_the_worst_of_every_radius(results):
    found = values(results)
    clean = next(line["value"] for line in results["tables"]["curves"] if line.get("eps") == 0)
    near, far = found["robust_worst@1/255"], found["robust_worst@4/255"]
    area = (clean + near) / 2 * (1 / 4) + (near + far) / 2 * (3 / 4)
    assert found["robust_area@linf"] == pytest.approx(area)
    assert "robust_area@l2" not in found


def test_curves_begin_at_the_clean_accuracy_and_hold_every_attack(results):
    lines = [line for line in results["tables"]["curves"] if line["curve"] == "robustness"]
    curves = {}
    for line in lines:
        curves.setdefault((line["attack"], line["norm"]), []).append(line)
    expected = {(attack, norm) for attack in NAMES for norm in ("linf", "l2")}
    assert curves.keys() == expected | {("background", "linf")}
    for (attack, norm), curve in curves.items():
        radii = (0.0, *(LINF if norm == "linf" else L2))
        assert [line["eps"] for line in curve] == pytest.approx(radii)
        accuracies = [line["value"] for line in curve]
        if attack != "fgsm":
            assert accuracies == sorted(accuracies, reverse=True)
        assert all(line["low"] <= line["value"] <= line["high"] for line in curve)


def errors(network, dataset, kind):
    """Ask about every image under every severity by itself."""
    wrong = np.zeros((5, len(dataset.sample_ids)), np.bool_)
    for row, (sample_id, label) in enumerate(zip(dataset.sample_ids, dataset.labels, strict=True)):
        image = dataset.images(np.array([row]))
        for severity in range(1, 6):
            found = corrupt(image, kind, severity, sample_ids=[sample_id], seed=0)
            with torch.no_grad():
                wrong[severity - 1, row] = int(network(to_pixels(found, CPU)).argmax()) != label
    return wrong


class TestCorruptions:
    def test_accuracies_equal_those_of_one_image_at_a_time(self, network, few_digits, results):
        found = values(results)
        wrong = {kind: errors(network, few_digits, kind) for kind in KINDS}
        for kind in KINDS:
            accuracy = 1 - wrong[kind].mean()
            assert found[f"corruption_accuracy@{kind}"] == pytest.approx(accuracy)
        benchmark = 1 - np.mean([wrong["fog"].mean(), wrong["contrast"].mean()])
        assert found["corruption_accuracy"] == pytest.approx(benchmark)
        assert "mce" not in found
        lines = [line for line in results["tables"]["curves"] if line["curve"] == "corruption"]
        assert [(line["corruption"], line["severity"]) for line in lines] == [
            (kind, severity) for kind in KINDS for severity in range(1, 6)
        ]
        means = np.concatenate([1 - wrong[kind].mean(axis=1) for kind in KINDS])
        assert [line["value"] for line in lines] == pytest.approx(list(means))

    def test_errors_against_oneself_are_one(self, config, evaluation, tmp_path):
        output = shutil.copytree(evaluation, tmp_path / "eval")
        own = {"attacks": (), "corruption_baseline": evaluation}
        evaluate.run(config(output, **own))
        found = values(json.loads((output / "results.json").read_text()))
        assert found["mce"] == pytest.approx(1)
        assert found.get("relative_mce", 1) == pytest.approx(1)

    def test_a_baseline_that_lacks_a_corruption(self, config, evaluation, tmp_path):
        own = {"attacks": (), "corruptions": ("fog", "snow"), "corruption_baseline": evaluation}
        with pytest.raises(InputError, match="an evaluation under fog, snow, got none under snow"):
            evaluate.run(config(tmp_path / "eval", **own))

    def test_a_baseline_of_other_samples(self, config, evaluation, tmp_path):
        own = {"attacks": (), "corruptions": ("fog",), "corruption_baseline": evaluation}
        with pytest.raises(InputError, match=r"--corruption-baseline .*fingerprint \w{12}, got"):
            evaluate.run(config(tmp_path / "eval", limit=20, **own))


@pytest.mark.slow
def test_another_radius_leaves_all_others_as_they_are(config, evaluation, tree, tmp_path, listener):
    output = shutil.copytree(evaluation, tmp_path / "eval")
    before = {**tree(output / "attacks"), **tree(output / "corruptions")}
    further = {"attacks": ("pgd", "background"), "eps": (*LINF, 0.1)}
    evaluate.run(config(output, **further), listener)
    assert [total for _, total in listener.tasks] == [30] * 6  # two attacks, four other checks
    after = {**tree(output / "attacks"), **tree(output / "corruptions")}
    assert {name: after[name] for name in before} == before
    added = {name.split("/")[0] for name in after.keys() - before.keys()}
    radii = ("linf-1_255", "linf-4_255", "linf-0.1", "l2-0.5")
    checks = {f"search100-{radius}-after-pgd3.zarr" for radius in radii}
    assert added == {"pgd3-linf-0.1.zarr", "pgd3-linf-0.1-background.zarr", *checks}


def test_a_damaged_shard_is_computed_again_to_the_same_bytes(
    config, evaluation, tree, flip, tmp_path, listener
):
    output = shutil.copytree(evaluation, tmp_path / "eval")
    before = tree(output)
    for name in ("attacks/apgd-t3-linf-1_255", "corruptions/fog"):
        array = "severity-2" if "fog" in name else name.rpartition("/")[2]
        flip(output / f"{name}.zarr/{array}/logits/c/1/0", 99)
    evaluate.run(config(output, resume=True), listener)
    assert [total for _, total in listener.tasks] == [14, 14]
    for aside in [*output.rglob("*.old-damaged")]:
        shutil.rmtree(aside)
    assert tree(output) == before


def test_data_without_objects_have_no_background_to_attack(config, bare, tmp_path):
    own = {"data": f"imagefolder:{bare}", "attacks": ("pgd",), "eps_l2": (), "corruptions": ()}
    output = evaluate.run(config(tmp_path / "eval", **own)).path
    found = values(json.loads((output / "results.json").read_text()))
    assert found.keys() == {"robust@1/255", "robust@4/255", "robust_area@linf"}


def test_a_missing_package_is_reported_before_anything_is_computed(config, tmp_path, monkeypatch):
    monkeypatch.setattr(applicable, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="the package torchattacks, got none installed"):
        evaluate.run(config(tmp_path / "eval", attacks=("autoattack",)))
    assert not (tmp_path / "eval").exists()
