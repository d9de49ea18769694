"""`weights`: the formula, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ectool

E = np.array([0.1, 0.5, 0.9, 0.3])


def test_weights_are_powers_of_mean_one() -> None:
    found = ectool.weights(E, gamma=2)
    expected = (1 - E) ** 2
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("convert", [list, torch.tensor, lambda e: e.astype(np.float32)])
def test_values_of_any_kind_are_taken(convert) -> None:
    np.testing.assert_allclose(ectool.weights(convert(E)), ectool.weights(E), rtol=1e-6)


def test_undefined_values_get_a_neutral_weight() -> None:
    assert ectool.weights([0.0, np.nan, 1.0])[1] == pytest.approx(1)


def test_the_last_round_is_averaged() -> None:
    last = np.array([0.5, 1.5, 1.0, 1.0])
    found = ectool.weights(E, previous=last, momentum=0.25)
    np.testing.assert_allclose(found, 0.25 * last + 0.75 * ectool.weights(E), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"consistency": [0.5, 1.5]}, r"consistency: expected .* in \[0, 1\].*got 1.5"),
        ({"consistency": [[0.5]]}, r"consistency: expected one number per sample.*\(1, 1\)"),
        ({"consistency": ["a"]}, "consistency: expected one number per sample"),
        ({"consistency": []}, "explanation consistency: expected at least one sample"),
        ({"consistency": E, "previous": [1.0]}, "previous: expected 4 weights.*got 1"),
        ({"consistency": E, "previous": -E}, "previous weights: expected finite and non-negative"),
        ({"consistency": E, "gamma": -1}, "gamma: expected greater than or equal to 0, got -1"),
        (
            {"consistency": E, "gama": 1},
            "option gama: expected one of cap, .*use gamma",
        ),
    ],
)
def test_other_values_are_refused(arguments, message) -> None:
    with pytest.raises(ectool.EctoolError, match=message):
        ectool.weights(**arguments)
