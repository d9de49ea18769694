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


KNOWN = ("gradcam", "gradcam++", "validation", "ec", "ec-weights", "stl10", "--eps", "data list")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *[("grad-cam", "gradcam"), ("GradCAM++", "gradcam++"), ("grad_cam_plus_plus", "gradcam++")],
        *[("val", "validation"), ("EC", "ec"), ("ec_weight", "ec-weights"), ("stl-10", "stl10")],
        *[("--epss", "--eps"), ("list", "data list"), ("xyz", None), ("", None)],
    ],
)
def test_the_nearest_name_ignores_case_and_punctuation(name, meant):
    assert errors.nearest(name, KNOWN) == meant
    assert errors.hint(name, KNOWN) == ("" if meant is None else f"did you mean {meant}? ")


def test_there_is_no_hint_for_a_known_name():
    assert [errors.hint(name, KNOWN) for name in KNOWN] == [""] * len(KNOWN)
