"""What names the artifacts below a folder, to be compared with what an earlier version wrote.

    python tests/recorded_ids.py FOLDER > tests/pipelines/digits_ids.json

A recipe's digest leaves out the ids of its parents: it is the same on every machine. An id is the
digest of contents, so it is the same only where the arithmetic is.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch


def recorded(folder: Path) -> dict[str, Any]:
    """Return the digest of the recipe and the id of every artifact below a folder, by its path."""
    paths = sorted(folder.rglob("manifest.json"))
    found = {str(path.parent.relative_to(folder)): json.loads(path.read_bytes()) for path in paths}
    return {
        "arithmetic": arithmetic(),
        "artifacts": {
            name: {"recipe": _recipe_digest(manifest), "id": manifest["id"]}
            for name, manifest in found.items()
        },
    }


def arithmetic() -> str:
    """Return what decides the last bits of a result: processor and version of torch."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    facts = dict(line.split("\t", 1) for line in reversed(lines) if "\t" in line)
    names = ("vendor_id", "cpu family", "model", "model name")
    processor = " ".join(facts.get(name, "").strip("\t: ") for name in names)
    vectors = torch.backends.cpu.get_cpu_capability()
    return f"{processor or platform.processor()}, {vectors}, torch {torch.__version__}"


def _recipe_digest(manifest: dict[str, Any]) -> str:
    recipe = manifest["recipe"]
    source = recipe["source"]
    part = {
        "kind": recipe["kind"],
        "stage": recipe["stage"],
        "config": recipe["config"],
        "parents": sorted(parent["role"] for parent in recipe["parents"]),
        "data": source["fingerprint"] if source else None,
    }
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    print(json.dumps(recorded(Path(sys.argv[1])), indent=1))  # noqa: T201
