"""Every objective: its row, its documentation, its options, and its place in the training."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ectool.config import TrainConfig
from ectool.config.objectives import (
    NAMES,
    NEEDS_GROUPS,
    OBJECTIVE_OPTIONS,
    ONE_LABEL,
    OWN_WEIGHTS,
    ObjectiveOptions,
)
from ectool.errors import UsageError
from ectool.training.objectives import OBJECTIVES

DOCUMENT = Path(__file__).parents[4] / "docs" / "objectives.md"


def config(**options):
    return TrainConfig(output="model", **options)


def test_every_objective_has_a_choice_options_and_a_section():
    names = set(OBJECTIVES)
    assert names == set(OBJECTIVE_OPTIONS)
    assert names == set(re.findall(r"^## `(.+)`$", DOCUMENT.read_text(), re.MULTILINE))


def test_requirements_are_those_of_objectives():
    assert set(OBJECTIVES) >= NEEDS_GROUPS | ONE_LABEL | OWN_WEIGHTS


def test_an_unknown_objective_is_refused():
    with pytest.raises(ValueError, match=r"one of erm, focal, "):
        config(objective="fokal")


def test_every_option_applies_to_an_objective():
    applied = {name for names in OBJECTIVE_OPTIONS.values() for name in names}
    assert applied == set(ObjectiveOptions.model_fields) - NAMES


def test_the_key_of_plain_training_is_that_of_earlier_versions():
    assert not set(config().keyed()) & set(ObjectiveOptions.model_fields)


def test_the_key_holds_the_resolved_options_of_the_objective():
    keyed = config(objective="focal").keyed()
    assert keyed == config(objective="focal", gamma=2.0).keyed()
    assert keyed == {**config().keyed(), "objective": "focal", "objective_start": 0.2, "gamma": 2.0}
    assert keyed != config(objective="focal", gamma=1.0).keyed()


def test_the_default_step_size_follows_the_radius():
    assert config(objective="adversarial", eps="8/255").settings()["alpha"] == 4 / 255
    assert (
        config(objective="adversarial", eps="8/255", attack_steps=1).settings()["alpha"] == 8 / 255
    )
    assert config(objective="adversarial", alpha="1/255").settings()["alpha"] == 1 / 255


def test_an_objective_that_perturbs_images_refuses_samples():
    with pytest.raises(UsageError, match="--samples: expected an objective that does not perturb"):
        config(objective="adversarial", samples="adv.zarr")


def test_options_of_other_objectives_are_refused():
    with pytest.raises(UsageError, match=r"--gamma.*applies to \(focal.*got --objective erm"):
        config(gamma=1.0)
    with pytest.raises(UsageError, match=r"--strength.*got --objective focal"):
        config(objective="focal", strength=0.5)


def test_online_is_short_for_explanation_consistency():
    assert config(online=True).keyed() == config(objective="ec").keyed()
    assert config(online=True, objective="ec", cap=2).objective == "ec"
    with pytest.raises(UsageError, match=r"--online: expected no other.*got --objective focal"):
        config(online=True, objective="focal")
