"""The pointer of a remote artifact."""

from __future__ import annotations

from dataclasses import replace

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


OUTSIDE = ("../w", "/etc/w", "clean/../../w", "clean//w", ".", "a\nb", "a\\b", "")


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_out_of_the_artifact_are_refused(name):
    span = Span("gen/000000.shard", 0, 1)
    for files in ({name: "text"}, {name: span}, {"zarr.json": span._replace(name=name)}):
        with pytest.raises(IntegrityError, match="got ValueError: the name"):
            parse(replace(INDEX, files=files).to_bytes(), INDEX.base)


@pytest.mark.parametrize("entry", ["generation", "kind", "key", "id"])
def test_entries_are_words(entry):
    for word in ("../w", "a/b", "", "a b"):
        with pytest.raises(IntegrityError, match="got ValueError: the name"):
            parse(replace(INDEX, **{entry: word}).to_bytes(), INDEX.base)
    with pytest.raises(IntegrityError, match="got TypeError"):
        parse(replace(INDEX, **{entry: 3}).to_bytes(), INDEX.base)


def test_places_are_bytes_of_remote_objects():
    for span in (Span("gen/a", -1, 2), Span("gen/a", 0, -1)):
        with pytest.raises(IntegrityError, match="a place of"):
            parse(replace(INDEX, files={"a": span}).to_bytes(), INDEX.base)
    for base in ("file:///etc", "/etc", "unknown://x/y"):
        with pytest.raises(IntegrityError, match="objects at"):
            parse(replace(INDEX, base=base).to_bytes(), INDEX.base)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", INDEX.to_bytes()[:-1], b"\xff"])
def test_damage_is_one_line(data):
    with pytest.raises(IntegrityError, match="expected the pointer that was written"):
        parse(data, "s3://bucket/w.zarr")
