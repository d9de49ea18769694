"""Misspelt variables, and TOML files of different editors."""

from __future__ import annotations

import pytest

from ectool.config import STAGES
from ectool.errors import InputError, UsageError
from ectool.settings import check_variables, read_toml, validate


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ECTOOL_SCORE_GAMA", "expected ECTOOL_SCORE_GAMMA"),
        ("ECTOOL_TRAIN_EPOHCS", "expected ECTOOL_TRAIN_EPOCHS"),
        ("ECTOOL_SCORE_XYZ", "expected ECTOOL_SCORE_ and the name of an option"),
        ("ECTOOL_DATAS", "expected ECTOOL_DATA,"),
        ("ECTOOL_DATA_ROOT", "expected ECTOOL_DATA,"),
        ("ectool_data", "expected ECTOOL_DATA,"),
    ],
)
def test_misspelt_variables_are_refused(name, expected):
    with pytest.raises(UsageError, match=f"variable {name}: {expected}"):
        check_variables(STAGES, {name: "1"})


def test_unknown_variables_are_noted():
    found = {"ECTOOL_DATA": "x", "ECTOOL_SCORE_GAMMA": "2", "ECTOOL_IMAGE": "y", "OTHER": "z"}
    assert check_variables(STAGES, found) == [
        "ECTOOL_IMAGE: not a variable of ectool; it has no effect"
    ]


def test_a_byte_order_mark_is_ignored(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("[score]\ngamma = 2\n", encoding="utf-8-sig")
    assert read_toml(path) == {"score": {"gamma": 2}}


@pytest.mark.parametrize(
    ("content", "got"),
    [
        ("[score]\n".encode("utf-16"), "got UTF-16; save it as UTF-8"),
        (b"[score]\n# \xe9", "bytes that are not UTF-8, at 10"),
        (b"[score]\na = 1\na = 2", "Cannot overwrite a value"),
        (b"a = " + b"[" * 100_000, "nested more than 64 deep"),
        (b"a = " + b"1" * 5000, "more than 64 bits"),
    ],
    ids=["utf-16", "latin-1", "twice", "deep", "long"],
)
def test_invalid_toml_is_one_line(content, got, tmp_path):
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=got):
        read_toml(path)


@pytest.mark.parametrize("value", [["", -(2**63), "a"], [["a"], "b"], [None, "s3://b/a"]])
def test_paths_that_are_no_texts_are_refused(value):
    config = STAGES["evaluate"]
    with pytest.raises(UsageError, match="baseline"):
        validate(config, {"model": "m", "output": "o", "baseline": value}, "evaluate")
