"""Reading a finished evaluation: its results, and the parts that these were computed from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ectool.artifacts import folder
from ectool.artifacts.store import read_manifest
from ectool.errors import IntegrityError
from ectool.stages.common.layout import RESULTS_FILE


def read_results(path: Path) -> dict[str, Any]:
    """Return `results.json` of a finished evaluation.

    Raises:
        InputError: There is no finished evaluation.
        IntegrityError: The file is not what was written.
    """
    manifest = folder.open_folder(path, "evaluation")
    text = folder.verify_file(path / RESULTS_FILE, manifest).read_text(encoding="utf-8")
    results: dict[str, Any] = json.loads(text)
    return results


def read_metrics(path: Path) -> dict[str, dict[str, object]]:
    """Return the metrics of a finished evaluation by name."""
    found: dict[str, dict[str, object]] = read_results(path)["metrics"]
    return found


def part_of(path: Path, results: Mapping[str, Any], file: str) -> Path | None:
    """Return the path of a part that results were computed from; None if they have no such part.

    The folder may hold other parts, of earlier options.

    Args:
        path: Folder of the evaluation.
        results: Its `results.json`.
        file: Path of the part inside the folder.

    Raises:
        IntegrityError: The part is missing, or is another one.
    """
    wanted = results.get("parts", {}).get(file)
    if wanted is None:
        return None
    found = read_manifest(path / file)
    if found is None or found.id != wanted:
        raise IntegrityError(
            str(path / file),
            expected=f"the part that {RESULTS_FILE} was computed from, id {wanted[:12]}",
            got="none" if found is None else found.id[:12],
            fix="evaluate again with the same --output",
        )
    return path / file
