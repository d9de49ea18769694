"""No invalid JSON or TOML from outside goes further than its reader, and nothing valid is lost."""

from __future__ import annotations

import json
import math
import random

import pytest
from pydantic import BaseModel

from ectool.errors import InputError, IntegrityError
from ectool.parsing import (
    MAX_DEPTH,
    MalformedError,
    parse_json,
    parse_toml,
    read_json,
    read_object,
    read_toml,
    validated,
)

MALFORMED = {
    "": "Expecting value",
    "[1": "Expecting ',' delimiter",
    "{'a': 1}": "Expecting property name",
    "[" * 100_000: "nested more than 64 deep",
    "[" * 65 + "]" * 65: "nested more than 64 deep",
    '{"a":' * 65 + "1" + "}" * 65: "nested more than 64 deep",
    "1" * 5000: "more than 64 bits",
    "1" * 4000: "more than 64 bits",
    str(2**64): "more than 64 bits",
    "-" + "1" * 21: "more than 64 bits",
    "[1e999]": "not finite",
    "[NaN]": "the number NaN",
    "-Infinity": "the number -Infinity",
    '{"a": 1, "b": {"c": 1, "c": 2}}': "the key 'c' twice",
    '["\\ud800"]': "half of a surrogate pair",
    '{"\\udc80": 1}': "half of a surrogate pair",
}


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: text[:20])
def test_malformed_json_is_refused(text):
    with pytest.raises(MalformedError, match=MALFORMED[text]):
        parse_json(text.encode())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
        (b'{"a": "\xe9"}', "not UTF-8, at 7"),
        (b'\x00{"a": 1}', "Expecting value"),
    ],
)
def test_other_encodings_are_refused(data, message):
    with pytest.raises(MalformedError, match=message):
        parse_json(data)


def _value(rng: random.Random, depth: int) -> object:
    kinds = [None, True, rng.randint(-(2**63), 2**63), rng.uniform(-1, 1), "ä\u2028😀" * depth]
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(kinds)
    parts = [_value(rng, depth - 1) for _ in range(rng.randint(0, 4))]
    return parts if rng.random() < 0.5 else {f"k{n}": part for n, part in enumerate(parts)}


def test_valid_documents_are_those_of_json():
    rng = random.Random(0)
    for _ in range(200):
        value = _value(rng, 6)
        assert parse_json(json.dumps(value).encode()) == value
        assert parse_json(json.dumps(value, ensure_ascii=False).encode("utf-8-sig")) == value
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse_json(deepest) == json.loads(deepest)
    assert math.isnan(parse_json("[NaN]", allow_nan=True)[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\na = 2", "Cannot overwrite a value"),
        ("a = ", "Invalid value"),
        ("a = " + "[" * 50_000, "nested more than 64 deep"),
        ("a = " + "[" * 70 + "]" * 70, "nested more than 64 deep"),
        ("a." * 70 + "a = 1", "nested more than 64 deep"),
        ("a = " + "9" * 5000, "more than 64 bits"),
        ("a = " + "9" * 30, "more than 64 bits"),
        ("a = 2020-99-01", "Expected newline|Invalid date|month must be"),
    ],
    ids=range(8),
)
def test_malformed_toml_is_refused(text, message):
    with pytest.raises(MalformedError, match=message):
        parse_toml(text.encode())


def test_files_name_themselves(tmp_path):
    file = tmp_path / "a.json"
    file.write_text("[1,")
    with pytest.raises(InputError, match=r"a\.json: expected valid JSON, got Expecting value"):
        read_json(file)
    with pytest.raises(IntegrityError, match=r"a\.json: .*; restore it"):
        read_json(file, kind=IntegrityError, fix="restore it")
    with pytest.raises(InputError, match=r"a\.json: expected valid TOML, got .*; correct the file"):
        read_toml(file)
    file.write_text("[1]")
    with pytest.raises(InputError, match="expected a JSON object, got a value of type list"):
        read_object(file)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json")


class Point(BaseModel):
    x: int


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "Expecting property"), ('{"x": "y"}', "x: Input"), ("1", "Input")],
)
def test_models_are_checked(text, message):
    with pytest.raises(InputError, match=f"p: expected a point, got {message}.*; draw it"):
        validated(Point, text, "p", expected="a point", fix="draw it")
    assert validated(Point, '{"x": 1}', "p", expected="a point").x == 1
