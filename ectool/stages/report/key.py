"""What a report shows, as one digest; and whether a report that lies there is the one of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ectool.reports
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.hashing import digest_file, digest_json
from ectool.artifacts.manifest import library_versions
from ectool.artifacts.store import read_manifest
from ectool.config import ReportConfig
from ectool.stages.common.layout import HEATMAPS, SAMPLES, WEIGHTS, RunRecord
from ectool.stages.report.provenance import describe_source
from ectool.stages.report.runs import read_history
from ectool.stages.report.sources import Sources

DRAWING = ("ectool", "numpy", "pillow")
"""Libraries that the images of a page come from."""
KEY, NUMBERS = "report-key", "report-numbers"
"""Meta tags of the page: the key, and the digest of the numbers beside it."""
FILES = "files"
"""Entry of the numbers: digests of the page and of the strip, where there is one."""
PAGE, STRIP = "page", "strip"
ROUND = (SAMPLES, HEATMAPS, WEIGHTS)


def report_key(sources: Sources, config: ReportConfig) -> str:
    """Return the SHA-256 (hex) of all that a report shows, and of what draws it.

    Cost: reads manifests, results and histories, no arrays of artifacts that have a manifest.

    Raises:
        InputError: A run's model is missing.
        IntegrityError: Its history is not what was written.
    """
    runs = [run.record for experiment in sources.experiments for run in experiment.runs]
    for run in runs:
        read_history(run)  # compares it with the manifest
    shown = [*_artifacts(runs), *_evaluations(sources.folders.values())]
    return digest_json(
        {
            "names": [path.resolve().name for path in config.paths],
            "models": [(entry.name, entry.group, entry.data) for entry in sources.entries],
            "failures": [asdict(failure) for failure in sources.failures],
            "experiments": [one.record.model_dump(mode="json") for one in sources.experiments],
            "artifacts": [_state(path) for path in shown],
            "versions": {name: library_versions()[name] for name in DRAWING},
            "code": _code(),
        }
    )


def _artifacts(runs: Iterable[RunRecord]) -> Iterator[Path]:
    for run in runs:
        yield from (run.model, run.evaluation)
        yield from (one / name for one in run.rounds for name in ROUND)


def _evaluations(folders: Iterable[Path]) -> Iterator[Path]:
    for path in folders:
        yield from (path, *(path / name for name in ROUND))


def _state(path: Path) -> dict[str, Any] | None:
    """Return what a report may say of an artifact; nothing where there is none."""
    if not path.exists():
        return None
    manifest = read_manifest(path)
    if manifest is None:
        with Artifact(path) as artifact:
            return {"id": artifact.id}
    source = manifest.recipe.source
    return {
        "id": manifest.id,
        "key": manifest.key,
        "data": describe_source(source) if source else None,
        "versions": manifest.versions,
        "findings": manifest.all_findings(),
    }


def _code() -> dict[str, str]:
    """Return digests of the files that make a page: a version may be worked on."""
    folders = [Path(place) for place in ectool.reports.__path__]
    found = [path for folder in folders for path in folder.rglob("*.*")]
    found += Path(__file__).parent.glob("*.py")
    return {
        f"{path.parent.name}/{path.name}": digest_file(path) for path in found if _is_code(path)
    }


def _is_code(path: Path) -> bool:
    return path.is_file() and path.suffix in {".py", ".js", ".css", ".jinja"}


def numbers_digest(document: dict[str, Any]) -> str:
    """Return the SHA-256 (hex) of a report's numbers, without that of the page which holds it."""
    return digest_json({name: value for name, value in document.items() if name != FILES})


def holds(page: Path, numbers: Path, strip: Path, key: str) -> bool:
    """Tell whether page, numbers and strip are there, as they were written, and of a key.

    Args:
        page: The page.
        numbers: The JSON document beside it.
        strip: The strip beside it, which only some reports have.
        key: What `report_key` returns.
    """
    document = _read(numbers)
    if document.get("key") != key or not page.is_file():
        return False
    there = {PAGE: page, STRIP: strip}
    found = {name: digest_file(path) for name, path in there.items() if path.is_file()}
    told = _meta(page.read_text(encoding="utf-8", errors="replace"))
    return found == document.get(FILES) and told == {KEY: key, NUMBERS: numbers_digest(document)}


def _read(numbers: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        document = json.loads(numbers.read_bytes())
        return document if isinstance(document, dict) else {}
    return {}


def _meta(page: str) -> dict[str, str]:
    """Return what the page's meta tags say of it."""
    return dict(re.findall(r'<meta name="ectool-(report-\w+)" content="(\w+)">', page))
