from __future__ import annotations

import copy

import pytest

from ectool import errors


def test_a_message_has_expected_got_and_fix():
    error = errors.InputError("cams.h5: clean", expected="maps", got="none", fix="write some")
    assert str(error) == "cams.h5: clean: expected maps, got none; write some"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.InputError, 3),
        (errors.OutputExistsError, 4),
        (errors.IntegrityError, 5),
        (errors.QualityGateError, 6),
    ],
)
def test_every_class_has_its_exit_code_and_can_be_copied(kind, code):
    error = copy.deepcopy(kind("a", expected="b", got="c", fix="d"))
    assert type(error) is kind
    assert error.exit_code == code
    assert vars(error) == {"subject": "a", "expected": "b", "got": "c", "fix": "d"}
    assert isinstance(error, errors.EctoolError)
