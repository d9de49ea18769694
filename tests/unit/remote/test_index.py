"""The pointer of a remote artifact."""

from __future__ import annotations

import pytest

from ectool.errors import IntegrityError
from ectool.remote.index import Index, Span, parse

FILES = {
    "zarr.json": '{"é": 1}',
    "odd.json": "base64:no",
    "braces.json": "{{u}}",
    "clean/c/0/0/0": Span("gen/000000.shard", 3, 7),
    "clean/c/1/0/0": Span("gen/000000.shard", 10, 7),
}
INDEX = Index("gen", "heatmaps", "key", "id", FILES, "s3://bucket/w.zarr")


def test_comes_back():
    assert parse(INDEX.to_bytes(), "s3://bucket/w.zarr") == INDEX


def test_counts_the_bytes_of_objects():
    assert INDEX.sizes() == {"gen/000000.shard": 14}


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", INDEX.to_bytes()[:-1], b"\xff"])
def test_damage_is_one_line(data):
    with pytest.raises(IntegrityError, match="expected the pointer that was written"):
        parse(data, "s3://bucket/w.zarr")
