from __future__ import annotations

import numpy as np
import pytest

from ectool.artifacts.schema import ArrayInfo, check, check_finite, spec_of
from ectool.errors import InputError


def info(shape, kind="f", dtype="float32"):
    return ArrayInfo(tuple(shape), dtype, kind)


@pytest.fixture
def found():
    """Return the arrays of a valid heatmaps artifact of 6 samples, clean maps only."""
    return {
        "sample_id": info([6], "T"),
        "label": info([6], "i"),
        "target": info([6], "u"),
        "clean": info([6, 4, 5]),
        "logits_clean": info([6, 3]),
    }


def test_valid_artifacts_pass(found):
    check("heatmaps", found, "x")
    check("heatmaps", found | {"adversarial": info([6, 4, 5])}, "x")
    check("heatmaps", found | {"my_own": info([9], "c")}, "x")


@pytest.mark.parametrize("name", ["sample_id", "label", "target", "clean", "logits_clean"])
def test_a_missing_array_is_named(found, name):
    del found[name]
    with pytest.raises(InputError, match=f"^x: {name}: expected the array `{name}` of a heatmaps"):
        check("heatmaps", found, "x")


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("clean", info([6, 4, 5], "u", "uint8"), "kind f with dimensions .* got uint8"),
        ("clean", info([6, 20]), r"'map_height', 'map_width'\), got float32 of shape \(6, 20\)"),
        ("sample_id", info([6], "i", "int64"), "kind T .* got int64"),
        ("label", info([6]), "kind i or u .* got float32"),
        ("adversarial", info([6, 4, 6]), "5 along `map_width` as in clean, got 6"),
        ("target", info([5], "i"), "6 along `sample` as in sample_id, got 5"),
        ("logits_adversarial", info([6, 4]), "3 along `class` as in logits_clean, got 4"),
    ],
)
def test_what_does_not_fit_is_named(found, name, given, message):
    with pytest.raises(InputError, match=f"^x: {name}: expected .*{message}"):
        check("heatmaps", found | {name: given}, "x")


def test_predictions_hold_logits_of_any_condition():
    found = {"sample_id": info([6], "T"), "label": info([6], "i")}
    check("predictions", found | {"mixed_rand/logits": info([6, 10])}, "x")
    with pytest.raises(InputError, match="x: mixed_rand/logits: expected kind f"):
        check("predictions", found | {"mixed_rand/logits": info([6])}, "x")


def test_specifications_by_name():
    assert spec_of("predictions", "original/logits") == spec_of("predictions", "pgd/logits")
    assert spec_of("heatmaps", "my_own") is None
    assert spec_of("heatmaps", "sub/clean") is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_row_that_is_not_finite_is_named(value):
    maps = np.zeros((4, 2, 2), np.float16)
    check_finite("heatmaps", "clean", maps, "x", 10)
    maps[2:, 1, 0] = value
    with pytest.raises(InputError, match=r"^x: expected finite numbers, got .* at row 12"):
        check_finite("heatmaps", "clean", maps, "x", 10)


def test_scores_may_be_undefined_but_weights_may_not():
    undefined = np.array([np.nan])
    check_finite("weights", "similarity", undefined, "x", 0)
    check_finite("weights", "my_own", undefined, "x", 0)
    with pytest.raises(InputError, match="row 0"):
        check_finite("weights", "weight", undefined, "x", 0)
