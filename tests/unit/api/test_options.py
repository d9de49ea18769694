"""The options of the functions are those of the commands."""

from __future__ import annotations

import inspect
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

import ectool
from ectool.api.options import AttackOptions, MethodOptions, WeightOptions, _as_argument
from ectool.config import ExplainConfig, HeatmapOptions, PerturbConfig, ScoreConfig
from ectool.config.groups import DataOptions, DeviceOptions, MapOptions, ModelOptions
from ectool.config.parts import PartOptions

PAIRS = [
    (MethodOptions, ExplainConfig),
    (AttackOptions, PerturbConfig),
    (WeightOptions, ScoreConfig),
]


def choices(hint: object) -> set[str]:
    """Return the texts of the literals in a type."""
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    return set().union(*map(choices, get_args(hint))) - {"auto"}  # eps: any text with a number


@pytest.mark.parametrize(("options", "config"), PAIRS)
def test_choices_are_those_of_the_configuration(options, config) -> None:
    for name, hint in get_type_hints(options).items():
        assert choices(hint) == choices(config.model_fields[name].annotation), name


def test_no_option_is_missing() -> None:
    arguments = {"method", "seed"}
    elsewhere = {
        "split",
        "init",
        "heatmaps",
        "samples",
        "targets",
        "store",
        "store_size",
        "compile",
    }
    groups = (DataOptions, DeviceOptions, MapOptions, ModelOptions, PartOptions)
    other = elsewhere.union(arguments, *(group.model_fields for group in groups))
    assert set(AttackOptions.__annotations__) == set(PerturbConfig.model_fields) - other
    assert set(MethodOptions.__annotations__) == set(HeatmapOptions.model_fields) - other


@pytest.mark.parametrize(
    ("function", "config"),
    [
        (ectool.explain, ExplainConfig),
        (ectool.perturb, PerturbConfig),
        (ectool.consistency, ScoreConfig),
        (ectool.consistency, PerturbConfig),
        (ectool.explain, PerturbConfig),
    ],
)
def test_defaults_of_arguments_are_those_of_the_commands(function, config) -> None:
    parameters = inspect.signature(function).parameters
    shared = [name for name in parameters if name in config.model_fields]
    shared = [name for name in shared if name not in ("model", "targets")]
    assert shared
    for name in shared:
        assert parameters[name].default == config.model_fields[name].default, name


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--mask-level", "mask_level"),
        ("leave out --mask, or add --eps 1", "leave out mask, or add eps 1"),
        ("see `ectool perturb --help`", "see docs/api.md"),
        ("a - b -- c --", "a - b -- c --"),
    ],
)
def test_messages_name_arguments(line, expected) -> None:
    assert _as_argument(line) == expected
