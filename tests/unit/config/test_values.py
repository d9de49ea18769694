"""Values of experiments, lists and radii: accepted ones, and the place named for refused ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectool.config import (
    STAGES,
    ArmConfig,
    DataOptions,
    EvaluateConfig,
    ExperimentConfig,
    ExplainConfig,
)
from ectool.errors import InputError, UsageError
from ectool.options import format_eps, parse_list, parse_number
from ectool.settings import resolve, validate

REQUIRED = {"model": "m", "output": "o", "heatmaps": "h"}
ARMS = {"plain": {}, "weighted": {"reweight": "consistency"}}


def fill(model, **given):
    """Return what a model must be given, and more."""
    return {**{name: REQUIRED[name] for name in REQUIRED.keys() & model.model_fields}, **given}


def experiment(**values):
    return validate(ExperimentConfig, {"arms": ARMS, **values}, "experiment")


class TestExperiment:
    def test_the_first_arm_stays_first(self):
        assert list(experiment().arms) == ["plain", "weighted"]

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"arm": 1}, r"\[experiment\] arm: expected one of title.*got 'arm'"),
            ({"arms": {"a": {"x": 1}}}, r"arms.a.x: expected one of reweight.*got 'x'"),
            ({"arms": {"a": {"reweight": "x"}}}, r"arms.a.reweight: expected 'uniform' or"),
            ({"arms": {"a": {"score": 1}}}, r"arms.a.score: expected a valid dict"),
            ({"arms": {}}, "arms: expected one or more arms"),
            ({"arms": {"warmup": {}}}, r"arms: expected .*other than 'warmup'"),
            ({"arms": {"../a": {}}}, r"arms: expected .*valid folder names"),
            ({"seeds": []}, "seeds: expected one or more different seeds"),
            ({"seeds": [0, 1, 0]}, r"seeds: expected .*different"),
            ({"seeds": [-1]}, r"seeds: expected .*at least 0"),
            ({"warmup": 1}, "warmup: expected less than 1, got 1; correct the file"),
            ({"every": 0}, "every: expected greater than or equal to 1"),
        ],
    )
    def test_findings_name_the_place(self, values, message):
        with pytest.raises(UsageError, match=message):
            experiment(**values)

    def test_arms_are_required(self):
        with pytest.raises(UsageError, match=r"\[experiment\] arms: expected a value, got none"):
            validate(ExperimentConfig, {}, "experiment")

    def test_defaults_are_not_shared(self):
        ArmConfig().score["gamma"] = 3
        assert ArmConfig().score == {}


class TestNumbers:
    @pytest.mark.parametrize("text", ["a/b", "1/2/3", "/", "", "1e999/1", "inf/inf", "1e400"])
    def test_other_text_is_refused(self, text):
        with pytest.raises(UsageError, match="--gamma: expected"):
            validate(STAGES["score"], {"heatmaps": "h", "gamma": text}, "score")

    @given(st.integers(-(2**40), 2**40), st.integers(1, 2**40))
    def test_a_fraction_is_the_quotient(self, numerator, denominator):
        assert parse_number(f"{numerator}/{denominator}") == numerator / denominator

    @pytest.mark.parametrize("value", [0.5, 3, None, "0.5", "abc"])
    def test_other_values_stay(self, value):
        assert parse_number(value) is value


class TestRadii:
    def test_spaces_and_toml_lists(self):
        spaced = validate(EvaluateConfig, fill(EvaluateConfig, eps="2/255, 0.5"), "evaluate")
        listed = validate(EvaluateConfig, fill(EvaluateConfig, eps=["2/255", 0.5]), "evaluate")
        assert spaced.eps == listed.eps == (2 / 255, 0.5)

    @pytest.mark.parametrize("text", ["", " "])
    def test_nothing_is_an_empty_list(self, text):
        assert parse_list(text) == ()

    @pytest.mark.parametrize("text", ["2/255,x", "0", "2/255,-1", "1.5", "2/255,"])
    def test_each_one_is_checked(self, text):
        with pytest.raises(UsageError, match="--eps: expected"):
            validate(EvaluateConfig, fill(EvaluateConfig, eps=text), "evaluate")

    @given(st.integers(0, 255))
    def test_whole_levels_read_back_exactly(self, level):
        text = format_eps(level / 255)
        assert text == f"{level}/255"
        assert parse_number(text) == level / 255

    @given(st.floats(1e-3, 1))
    def test_others_read_back_nearly(self, eps):
        text = format_eps(eps)
        number = parse_number(text) if "/" in text else float(text)
        assert number == pytest.approx(eps, rel=1e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_variables_reach_every_stage(stage):
    model = STAGES[stage]
    variables = {f"ECTOOL_{stage.upper()}_FORCE": "1"}
    assert resolve(model, fill(model), stage=stage, environ=variables).force


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "c.toml"
    path.write_bytes(b"[score]\ngamma = \xff\n")
    with pytest.raises(InputError, match="expected valid TOML"):
        resolve(STAGES["score"], {}, stage="score", toml=path, environ={})


def test_explain_takes_from_the_samples_what_was_not_given():
    source = DataOptions(data="imagefolder:x", size=32, rho=0.2, data_seed=4)
    found = validate(ExplainConfig, fill(ExplainConfig, size=64), "explain").data_options(source)
    assert (found.data, found.size, found.rho, found.data_seed) == ("imagefolder:x", 64, 0.2, 4)
