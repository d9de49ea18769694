from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectool.artifacts.hashing import digest_arrays, digest_file, digest_json


def test_json_digests_do_not_depend_on_the_order_of_keys():
    assert digest_json({"a": 1, "b": [1, 2]}) == digest_json({"b": [1, 2], "a": 1})
    assert digest_json({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


def test_json_digests_refuse_what_json_cannot_hold():
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_json({"cap": float("inf")})


def test_array_digests_are_the_same_for_any_byte_order_and_memory_layout():
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    twins = [values.astype(">f4"), np.asfortranarray(values), np.repeat(values, 2, 0)[::2]]
    assert {digest_arrays({"a": twin}) for twin in twins} == {digest_arrays({"a": values})}


def test_text_digests_are_the_same_for_every_kind_of_text():
    values = ["b", "ü", ""]
    kinds = [np.array(values, kind) for kind in (object, "U4", np.dtypes.StringDType())]
    assert len({digest_arrays({"a": array}) for array in kinds}) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"b": np.zeros(4)},
        {"a": np.zeros((2, 2))},
        {"a": np.zeros(4, np.float32)},
        {"a": np.array([0, 0, 0, 1.0])},
        {"a": np.zeros(4), "b": np.zeros(0)},
    ],
    ids=["name", "shape", "type", "value", "another array"],
)
def test_array_digests_tell_different_arrays_apart(other):
    assert digest_arrays(other) != digest_arrays({"a": np.zeros(4)})


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
        max_size=4,
        unique=True,
    )
)
def test_text_digests_tell_different_cuts_apart(values):
    joined = ["".join(values)]
    same = digest_arrays({"a": np.array(values, object)}) == digest_arrays(
        {"a": np.array(joined, object)}
    )
    assert same == (values == joined)


def test_file_digests(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    assert digest_file(tmp_path / "file") == hashlib.sha256(b"content").hexdigest()
