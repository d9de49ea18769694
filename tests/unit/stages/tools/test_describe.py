"""The JSON document of an artifact."""

from __future__ import annotations

import json

from ectool.artifacts.store import read_manifest
from ectool.stages.tools import describe


def test_array_artifacts_and_folders(heatmaps, model):
    for path, kind, samples in ((heatmaps, "heatmaps", 200), (model, "model", 0)):
        manifest = read_manifest(path)
        is_model = kind == "model"
        described = {"model": json.loads((path / "model.json").read_text())} if is_model else {}
        assert describe.artifact(path) == {
            "artifact": str(path),
            "kind": kind,
            "key": manifest.key,
            "id": manifest.id,
            "samples": samples,
            "findings": manifest.all_findings(),
            **described,
        }
    assert "zero_maps_clean" in describe.artifact(heatmaps)["findings"]


def test_what_has_no_manifest_is_a_path(tmp_path):
    assert describe.artifact(tmp_path) == {"artifact": str(tmp_path)}
