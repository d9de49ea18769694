"""Networks that look robust and are not: scaled, rounding, random; what results and gates say."""

from __future__ import annotations

import json

import pytest
import torch

from ectool.config import EvaluateConfig
from ectool.errors import QualityGateError
from ectool.stages import evaluate
from ectool.stages.common.model_folder import load_folder
from ectool.stages.evaluate.gates.check import check_bounds
from ectool.stages.evaluate.gates.parse import parse_bound

OPTIONS = {
    **{"suite": ("robustness",), "steps": 4, "bootstrap": 100, "corruptions": ()},
    **{"mean": (0.5,) * 3, "std": (0.25,) * 3, "classes": 10, "eps_l2": ()},
}
ALL = {"attacks": ("fgsm", "pgd", "background", "apgd-ce"), "eps": (16 / 255,)}
TWO = {"attacks": ("pgd", "background"), "eps": (2 / 255, 8 / 255)}


@pytest.fixture(scope="module")
def weights(model, tmp_path_factory):
    """Return the model's weights as those of a changed network."""
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    state = load_folder(model).network.state_dict()
    torch.save({f"network.{name}": value for name, value in state.items()}, path)
    return path


@pytest.fixture(scope="module")
def results(weights, few_options, tmp_path_factory):
    """Evaluate a changed network; return its metrics."""
    root = tmp_path_factory.mktemp("changed")

    def evaluated(name, given=ALL, require=()):
        output = root / f"{name}-{len(given['eps'])}"
        options = {**few_options, **OPTIONS, **given, "checkpoint": weights, "require": require}
        model = f"import:changed_networks:{name}"
        evaluate.run(EvaluateConfig(model=model, output=output, **options))
        return json.loads((output / "results.json").read_text())["metrics"]

    return evaluated


@pytest.mark.parametrize("scaled", ["small", pytest.param("large", marks=pytest.mark.slow)])
def test_a_factor_on_the_logits_changes_no_robust_accuracy(scaled, results):
    expected, found = results("plain"), results(scaled)
    assert expected.keys() == found.keys()
    assert expected["robust@16/255"]["value"] < expected["robust_fgsm@16/255"]["value"]
    for name, entry in expected.items():
        assert abs(entry["value"] - found[name]["value"]) <= 1 / 30 + 1e-9, name
        assert "upper_bound" not in entry
        assert "upper_bound" not in found[name]


@pytest.mark.slow
def test_rounded_input_makes_every_number_an_upper_bound(results):
    found = results("rounded", TWO)
    assert found["robust_background@2/255"]["upper_bound"].endswith("because they had no gradient")
    assert "robust_area@linf" in found
    for name, entry in found.items():
        assert "upper_bound" in entry, name


@pytest.mark.slow
def test_random_logits_are_noticed(results):
    found = results("noisy", TWO)
    assert "other logits in a second forward pass" in found["robust@2/255"]["upper_bound"]


def test_a_gate_is_not_passed_by_an_upper_bound(results):
    with pytest.raises(
        QualityGateError, match=r"robust@2/255: .*>= 1 %, got no more than an upper"
    ):
        results("rounded", TWO, require=("robust@2/255>=1",))
    assert results("rounded", TWO, require=("robust@2/255<=100",))
    assert results("plain", require=("robust@16/255>=0",))


def test_bounds_of_marked_values(tmp_path):
    entry = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 9, "upper_bound": "why"}
    bounds = [parse_bound(f"robust@2/255{end}") for end in ("<=90", ">=30", ">=90")]
    gates = check_bounds({"robust@2/255": entry}, bounds, tmp_path)
    assert [gate.missed for gate in gates] == [
        None,
        "no more than an upper bound, 80 %: why",
        "80 %",
    ]


def test_probabilities_are_measured_as_the_logits_behind_them(results):
    given = {**ALL, "suite": ("classification", "robustness")}
    expected, found = results("plain", given), results("probable", given)
    assert expected.keys() == found.keys()
    for name, entry in expected.items():
        atol = 1 / 30 + 1e-9 if name.startswith("robust") else 1e-5
        assert found[name]["value"] == pytest.approx(entry["value"], abs=atol), name
        assert "upper_bound" not in found[name]
