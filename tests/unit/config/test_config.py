from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from ectool import config
from ectool.attacks.masks import BACKGROUND_RULES
from ectool.config import EvaluateConfig, ExplainConfig, PerturbConfig, ScoreConfig, TrainConfig
from ectool.config.groups import DATA_SETS
from ectool.config.heatmaps import COMPILABLE
from ectool.datasets.registry import DATASETS
from ectool.errors import InputError, UsageError
from ectool.explainers import EXPLAINERS
from ectool.options import format_eps, is_keyed
from ectool.scores.similarity import SIMILARITIES
from ectool.scores.stability import STABILITIES
from ectool.settings import resolve, validate

NEEDED = {"model": "run/model", "output": "adv.zarr"}


def perturb(flags=None, toml=None, environ=None):
    return resolve(
        PerturbConfig,
        {**NEEDED, **(flags or {})},
        stage="perturb",
        toml=toml,
        environ=environ or {},
    )


@pytest.fixture
def toml(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_flags_beat_variables_beat_the_stage_table_beat_the_defaults_table(toml):
    path = toml(
        "[defaults]\nseed = 1\nsteps = 1\nalpha = 0.1\neps = '1/255'\n"
        "[perturb]\nseed = 2\nsteps = 2\nalpha = 0.2\n"
    )
    environ = {"ECTOOL_PERTURB_SEED": "3", "ECTOOL_PERTURB_STEPS": "3"}
    options = perturb({"seed": 4, "steps": None}, path, environ)
    assert (options.seed, options.steps, options.alpha) == (4, 3, 0.2)
    assert options.eps == 1 / 255
    assert options.mask == "quantile"


def test_variables_of_other_stages_are_ignored():
    assert perturb(environ={"ECTOOL_TRAIN_SEED": "3", "SEED": "4"}).seed == 0


def test_defaults_apply_only_to_options_of_a_stage(toml):
    path = toml("[defaults]\nepochs = 7\nseed = 5\n")
    assert perturb(toml=path).seed == 5
    train = resolve(TrainConfig, {"output": "m"}, stage="train", toml=path, environ={})
    assert train.epochs == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[perturb]\nepsilon = 1\n", "epsilon: expected one of .*, seed, .*got 'epsilon'"),
        ("[defaults]\nepsilon = 1\n", r"\[defaults\] epsilon: expected an option of a stage"),
        ("[pertrub]\nseed = 1\n", r"pertrub: expected a table named perturb, .* got \[pertrub\]"),
        ("seed = 1\n", "seed: expected a table named .* got seed = 1; move it into one of these"),
        ("[perturb]\nseed = -1\n", "--seed: expected greater than or equal to 0, got -1"),
    ],
)
def test_unknown_names_and_values_in_toml(toml, text, message):
    with pytest.raises(UsageError, match=message):
        perturb(toml=toml(text))


def test_files_that_are_not_toml(toml, tmp_path):
    with pytest.raises(InputError, match=r"none.toml: expected a TOML file, .*, got No such file"):
        perturb(toml=tmp_path / "none.toml")
    with pytest.raises(InputError, match=r"config.toml: expected valid TOML, got .*line 1"):
        perturb(toml=toml("[perturb\n"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"eps": "0"}, "--eps: expected greater than 0, got "),
        ({"eps": "300/255"}, "--eps: expected less than or equal to 1, got "),
        ({"eps": "8/0"}, "--eps: expected a valid number.*got '8/0'"),
        ({"alpha": "inf"}, "--alpha: expected a finite number, got "),
        ({"alpha": "nan"}, "--alpha: expected a finite number, got "),
        ({"steps": "-1"}, "--steps: expected greater than or equal to 0, got '-1'"),
        ({"steps": "1.5"}, "--steps: expected a valid integer"),
        ({"mask": "median"}, "--mask: expected 'quantile', 'fraction', .* got 'median'"),
        ({"batch_size": "0"}, "--batch-size: expected a positive integer, or auto"),
        ({"nothing": "1"}, "nothing: expected one of .* got 'nothing'"),
        ({"model": None}, "--model: expected a value, got none; see `ectool perturb --help`"),
    ],
)
def test_values_out_of_bounds_are_named_with_their_flag(flags, message):
    with pytest.raises(UsageError, match=message):
        validate(PerturbConfig, {k: v for k, v in {**NEEDED, **flags}.items() if v}, "perturb")


@pytest.mark.parametrize("cap", ["inf", float("inf")])
def test_no_number_is_infinite(cap):
    """It could not be a part of the key."""
    with pytest.raises(UsageError, match="--cap: expected a finite number"):
        validate(ScoreConfig, {"heatmaps": "a.zarr", "cap": cap}, "score")


@pytest.mark.parametrize(
    ("text", "number"), [("8/255", 8 / 255), ("0.5", 0.5), (" 2/255 ", 2 / 255), ("1e-2", 0.01)]
)
def test_numbers_may_be_fractions(text, number):
    assert perturb({"eps": text}).eps == number


def test_lists_are_separated_by_commas():
    flags = {**NEEDED, "eps": "1/255,0.5", "require": "a<=1,b>=2"}
    options = validate(EvaluateConfig, flags, "evaluate")
    assert options.eps == (1 / 255, 0.5)
    assert options.require == ("a<=1", "b>=2")


@pytest.mark.parametrize("text", ["0.5", "0.5,0.5", "0.1,0.2,0.3,0.4", ""])
def test_channels_are_three_numbers(text):
    with pytest.raises(UsageError, match=r"--mean: expected three numbers, such as 0\.5"):
        perturb({"mean": text})
    assert perturb({"mean": "0.1,0.2,51/255"}).mean == (0.1, 0.2, 0.2)


@pytest.mark.parametrize(
    ("eps", "text"),
    [
        (8 / 255, "8/255"),
        (1.0, "255/255"),
        (0.01, "0.01"),
        (2.5 / 255, "2.5/255"),
        (2.2 / 255, "0.00862745"),
        (0.1, "0.1"),
        (0.5, "0.5"),
        (0.2, "51/255"),
    ],
)
def test_radii_are_written_in_grey_levels_small_ones_in_halves(eps, text):
    assert format_eps(eps) == text


@pytest.mark.parametrize(
    ("model", "name", "registry"),
    [
        (PerturbConfig, "mask", BACKGROUND_RULES),
        (ScoreConfig, "similarity", SIMILARITIES),
        (ScoreConfig, "stability", STABILITIES),
    ],
)
def test_choices_are_the_registrys(model, name, registry):
    assert set(get_args(model.model_fields[name].annotation)) == set(registry)


def test_data_sets_are_the_registrys():
    assert tuple(DATASETS) == DATA_SETS, "name a new data set in ectool/config/data_sets.py, too"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *[("val", "validation"), ("Valid", "validation"), ("dev", "validation")],
        *[("training", "train"), ("train+val", "train+validation"), ("seg_val", "seg_val")],
    ],
)
def test_splits_have_other_names(name, split):
    assert perturb({"split": name}).split == split
    assert ExplainConfig(**NEEDED, split=name).split == split
    assert ExplainConfig(**NEEDED).split is None


def test_methods_are_the_registrys():
    assert tuple(EXPLAINERS) == config.METHODS
    compilable = {name for name, method in EXPLAINERS.items() if method.is_compilable}
    assert compilable == {*COMPILABLE}
    with pytest.raises(ValidationError, match=r"or an entry point of ectool\.explainers"):
        ExplainConfig(**NEEDED, method="gradcamera")


NOT_KEYED = {
    "max_pixels",
    *("output", "force", "resume", "device", "threads", "data", "model", "checkpoint", "classes"),
    *("init", "samples", "heatmaps", "previous", "weights", "require", "batch_size", "log"),
    *("workers", "deterministic", "nproc", "shard", "prompts", "trust_code", "check_space"),
    *("models", "corruption_baseline", "online", "baseline", "md", "junit"),
}


@pytest.mark.parametrize("stage", config.STAGES)
def test_the_key_has_every_option_but_inputs_outputs_and_the_machine(stage):
    model = config.STAGES[stage]
    free = {name for name in model.model_fields if not is_keyed(model, name)}
    expected = NOT_KEYED & set(model.model_fields)
    if stage == "train":
        expected -= {"model", "batch_size"}  # the architecture, and the size of a step
    assert free == expected


def test_keyed_options_are_plain_json():
    options = validate(EvaluateConfig, NEEDED, "evaluate")
    assert json.loads(json.dumps(options.keyed())) == options.keyed()
    assert options.keyed()["eps"] == [2 / 255, 8 / 255]


def test_configurations_are_frozen_and_refuse_other_names():
    options = perturb()
    with pytest.raises(ValidationError, match="frozen"):
        options.seed = 3
    with pytest.raises(ValidationError, match="Extra inputs"):
        PerturbConfig(**NEEDED, sead=3)


@pytest.mark.parametrize("stage", config.STAGES)
def test_every_option_has_a_help_text(stage):
    for name, field in config.STAGES[stage].model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mean": "123.675,116.28,103.53"}, r"--mean: .* got 123\.675,.*; divide .* by 255"),
        ({"mean": "-0.1,0.5,0.5"}, r"--mean: expected means of pixels in \[0, 1\], got -0\.1"),
        ({"std": "58.4,57.1,57.4"}, r"--std: .*; divide --mean and --std by 255"),
        (
            {"std": "0.2,0,0.2"},
            r"--std: expected standard deviations .* from 1/255 to 1, got 0\.2,0",
        ),
        ({"std": "0.2,-0.2,0.2"}, r"--std: .* got 0\.2,-0\.2"),
        ({"eps": "0.5/255"}, r"--eps: expected at least one grey level, .* got 0\.5/255"),
        ({"eps": 0.9 / 255, "norm": "l2"}, r"--eps: expected at least one grey level"),
    ],
)
def test_pixels_of_another_scale_are_refused(given, message):
    with pytest.raises(UsageError, match=message):
        perturb(given)


def test_normalisations_of_known_networks_are_accepted():
    for mean, std in (("0,0,0", "1,1,1"), ("127/255,127/255,127/255", "1/255,1/255,1/255")):
        assert perturb({"mean": mean, "std": std}).std is not None
    assert perturb({"eps": "1/255"}).eps == 1 / 255


def test_the_radius_may_be_auto():
    options = perturb({"eps": "auto", "norm": "l2"})
    assert options.keyed()["eps"] == options.eps == "auto"
    assert perturb({"eps": "8/255"}).radius == 8 / 255
    assert perturb({"attack": "blur"}).attack == "blur"
