"""The JSON document of an artifact that a stage has written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ectool.artifacts.store import read_manifest


def artifact(path: Path) -> dict[str, Any]:
    """Return path, kind, key, id, number of samples and findings."""
    manifest = read_manifest(path)
    if manifest is None:
        return {"artifact": str(path)}
    return {
        "artifact": str(path),
        "kind": manifest.kind,
        "key": manifest.key,
        "id": manifest.id,
        "samples": manifest.length,
        "findings": manifest.all_findings(),
    }
