"""Key of a report: the digest of its inputs, and the test whether a report is up to date."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ectool.reports
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.hashing import digest_file, digest_json
from ectool.artifacts.integrity.sealed_documents import DIGEST, FILES
from ectool.artifacts.manifest import library_versions
from ectool.artifacts.store import read_manifest
from ectool.config import ReportConfig
from ectool.errors import EctoolError
from ectool.input_files import real_path
from ectool.parsing import read_object
from ectool.stages.common.layout import HEATMAPS, SAMPLES, WEIGHTS, RunRecord
from ectool.stages.report.provenance import describe_source
from ectool.stages.report.runs import read_history
from ectool.stages.report.sources import Sources

DRAWING = ("ectool", "numpy", "pillow")
"""Libraries that draw the images of the page."""
KEY, NUMBERS = "report-key", "report-numbers"
"""Meta tags of the page: the key, and the digest of `report.json`."""
ROUND = (SAMPLES, HEATMAPS, WEIGHTS)


def report_key(sources: Sources, config: ReportConfig) -> str:
    """Return the SHA-256 (hex) of all inputs of a report, and of the code that draws it.

    Cost: reads manifests, results and histories, no arrays of artifacts that have a manifest.

    Raises:
        InputError: A run's model is missing.
        IntegrityError: Its history has changed since it was written.
    """
    runs = [run.record for experiment in sources.experiments for run in experiment.runs]
    for run in runs:
        read_history(run)  # verifies the history
    shown = [*_artifacts(runs), *_evaluations(sources.folders.values())]
    return digest_json(
        {
            "names": [real_path(path).name for path in config.paths],
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
    """Return the parts of an artifact that a report depends on; None without an artifact."""
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
    """Return the digests of the files that make the page, which may differ within a version."""
    folders = [Path(place) for place in ectool.reports.__path__]
    found = [path for folder in folders for path in folder.rglob("*.*")]
    found += Path(__file__).parent.glob("*.py")
    return {
        f"{path.parent.name}/{path.name}": digest_file(path) for path in found if _is_code(path)
    }


def _is_code(path: Path) -> bool:
    return path.is_file() and path.suffix in {".py", ".js", ".css", ".jinja"}


def numbers_digest(document: dict[str, Any]) -> str:
    """Return the SHA-256 (hex) of `report.json` without the digests of files and of itself."""
    own = (FILES, DIGEST)
    return digest_json({name: value for name, value in document.items() if name not in own})


def is_up_to_date(page: Path, numbers: Path, strip: Path, key: str) -> bool:
    """Report whether page, numbers and strip exist, are unchanged, and have a key.

    Args:
        page: The page.
        numbers: `report.json`.
        strip: The strip, which only some reports have.
        key: Result of `report_key`.
    """
    document = _read(numbers)
    if document.get("key") != key or not page.is_file():
        return False
    known = document.get(FILES, {})
    found = {path.name: digest_file(path) for path in (page, strip) if path.is_file()}
    meta = _meta(page.read_text(encoding="utf-8", errors="replace"))
    is_same = found == {n: known[n] for n in (page.name, strip.name) if n in known}
    return is_same and meta == {KEY: key, NUMBERS: numbers_digest(document)}


def _read(numbers: Path) -> dict[str, Any]:
    with suppress(OSError, EctoolError):
        return read_object(numbers, allow_nan=True)
    return {}


def _meta(page: str) -> dict[str, str]:
    """Return the meta tags of the page that start with `ectool-report`."""
    return dict(re.findall(r'<meta name="ectool-(report-\w+)" content="(\w+)">', page))
