"""The JSON document of an artifact that a stage has written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ectool.artifacts.store import read_manifest
from ectool.errors import IntegrityError
from ectool.parsing import read_object
from ectool.stages.common.layout import SPEC_FILE


def artifact(path: Path) -> dict[str, Any]:
    """Return path, kind, key, id, number of samples and findings; the description of a model."""
    manifest = read_manifest(path)
    if manifest is None:
        return {"artifact": str(path)}
    described = {}
    if SPEC_FILE in manifest.files:
        described["model"] = read_object(path / SPEC_FILE, kind=IntegrityError)
    return {
        "artifact": str(path),
        "kind": manifest.kind,
        "key": manifest.key,
        "id": manifest.id,
        "samples": manifest.length,
        "findings": manifest.all_findings(),
        **described,
    }
