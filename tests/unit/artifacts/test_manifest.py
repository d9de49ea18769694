from __future__ import annotations

import json
from pathlib import Path

import pytest

from ectool.artifacts.integrity.sealed_documents import unsealed
from ectool.artifacts.manifest import (
    Shard,
    library_versions,
    make_manifest,
    parse_manifest,
    stored_manifest,
)
from ectool.errors import InputError, IntegrityError

WHERE = Path("run/manifest.json")


def changed(recipe, **fields):
    return recipe.model_copy(update=fields)


def test_the_key_changes_with_everything_that_can_change_the_result(recipe):
    parent, source = recipe.parents[0], recipe.source
    others = [
        changed(recipe, kind="samples"),
        changed(recipe, stage="score"),
        changed(recipe, config={**recipe.config, "seed": 4}),
        changed(recipe, config={**recipe.config, "eps": 0.1}),
        changed(recipe, parents=(changed(parent, id="other"),)),
        changed(recipe, parents=(changed(parent, role="init"),)),
        changed(recipe, parents=(parent, changed(parent, role="init"))),
        changed(recipe, source=changed(source, fingerprint="other")),
        changed(recipe, source=None),
    ]
    assert len({recipe.key, *(other.key for other in others)}) == len(others) + 1


def test_the_key_does_not_change_with_paths(recipe):
    parent, source = recipe.parents[0], recipe.source
    moved = changed(
        recipe,
        parents=(changed(parent, path="/elsewhere/model"),),
        source=changed(source, data="imagefolder:/elsewhere"),
    )
    assert moved.key == recipe.key


def test_the_id_depends_on_the_contents_alone(recipe):
    shards = (Shard(start=0, stop=2, digest="aa", findings={"zero_maps": 1}),)
    manifest = make_manifest(recipe, length=2, shards=shards)
    other = changed(recipe, config={"seed": 9})
    assert make_manifest(other, length=2, shards=shards).id == manifest.id
    damaged = (changed(shards[0], digest="ab"),)
    assert make_manifest(recipe, length=2, shards=damaged).id != manifest.id
    assert make_manifest(recipe, files={"a": "aa"}).id != make_manifest(recipe).id


def test_findings_of_shards_are_added_up(recipe):
    shards = tuple(
        Shard(start=n, stop=n + 1, digest="", findings={"zero_maps": n, "flips": 1})
        for n in range(3)
    )
    manifest = make_manifest(recipe, shards=shards, findings={"share": 0.25})
    assert manifest.all_findings() == {"zero_maps": 3, "flips": 3, "share": 0.25}


def test_reading_what_was_written(recipe):
    manifest = make_manifest(recipe, length=1, shards=(Shard(start=0, stop=1, digest="aa"),))
    assert parse_manifest(manifest.to_bytes(), WHERE) == manifest
    assert manifest.versions == library_versions()
    assert {"python", "torch", "zarr", "ectool"} <= manifest.versions.keys()


def test_manifests_of_other_versions_are_refused(recipe):
    fields = json.loads(unsealed(make_manifest(recipe).to_bytes(), WHERE))
    with pytest.raises(InputError, match="expected schema version 1, got 2"):
        parse_manifest(json.dumps({**fields, "version": 2}), WHERE)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        (b"", "Expecting value"),
        (b"{}", "kind: Field required"),
        (b"[1]", "a valid dictionary"),
        (b'{"kind', "Unterminated string"),
    ],
)
def test_what_is_no_manifest_is_refused(text, got):
    with pytest.raises(InputError, match=f"run/manifest.json: expected a manifest.*got .*{got}"):
        parse_manifest(text, WHERE)


def test_only_a_regular_file_is_a_manifest(tmp_path):
    assert stored_manifest(tmp_path) is None
    file = tmp_path / "manifest.json"
    file.mkdir()
    with pytest.raises(IntegrityError, match=r"json: expected a regular file, got a folder"):
        stored_manifest(tmp_path)
    file.rmdir()
    file.write_bytes(b"{}")
    assert stored_manifest(tmp_path) == b"{}"
