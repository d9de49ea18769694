"""Options of interpretable filters: keys, defaults and errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from ectool.config import TrainConfig
from ectool.config.interpretable import (
    INTERPRETABLE_OPTIONS,
    Interpretable,
    InterpretableOptions,
)
from ectool.errors import UsageError
from ectool.training.interpretable import INTERPRETABLE

DOCUMENT = Path(__file__).parents[3] / "docs" / "interpretable.md"


def config(**options):
    return TrainConfig(output="model", **options)


def test_every_method_has_a_choice_options_and_a_section():
    names = set(get_args(Interpretable))
    assert names == set(INTERPRETABLE_OPTIONS) == set(INTERPRETABLE) | {"none"}
    assert set(INTERPRETABLE) == set(re.findall(r"^## `(.+)`$", DOCUMENT.read_text(), re.M))


def test_the_key_of_ordinary_filters_is_that_of_earlier_versions():
    assert not set(config().keyed()) & set(InterpretableOptions.model_fields)


def test_the_key_holds_the_resolved_options():
    keyed = config(interpretable="iccnn").keyed()
    assert keyed == config(interpretable="iccnn", interpretable_groups=16).keyed()
    assert keyed == {
        **config().keyed(),
        "interpretable": "iccnn",
        "interpretable_layer": None,
        **INTERPRETABLE_OPTIONS["iccnn"],
    }
    assert keyed != config(interpretable="iccnn", interpretable_groups=8).keyed()
    assert "interpretable_groups" not in config(interpretable="icnn").keyed()


def test_the_key_holds_the_objective_too():
    keyed = config(interpretable="icnn", objective="focal").keyed()
    assert keyed["objective"] == "focal"
    assert keyed["interpretable"] == "icnn"


def test_the_help_names_the_defaults():
    for name, field in InterpretableOptions.model_fields.items():
        for options in INTERPRETABLE_OPTIONS.values():
            assert name not in options or f"{options[name]:g}" in (field.description or "")


def test_options_of_other_methods_are_refused():
    with pytest.raises(UsageError, match=r"--interpretable-layer: expected --interpretable icnn"):
        config(interpretable_layer="features")
    with pytest.raises(UsageError, match=r"--interpretable-groups: expected --interpretable iccnn"):
        config(interpretable="icnn", interpretable_groups=4)
