from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectool.stages.common.path_labels import distinct_parts

PARTS = st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map(tuple)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["run/a/eval", "run/b/eval"], ["a", "b"]),
        (["run/a"], ["a"]),
        (["a/a", "a/a/a"], ["a", "a/a"]),
    ],
)
def test_shared_parts_are_left_out(paths, expected):
    found = distinct_parts([path.split("/") for path in paths])
    assert ["/".join(parts) for parts in found] == expected


@given(st.lists(PARTS, min_size=1, max_size=4, unique=True))
def test_different_paths_keep_different_parts(paths):
    found = distinct_parts(paths)
    assert all(found)
    assert len(set(found)) == len(paths)
