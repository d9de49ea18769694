"""Reading a finished evaluation: its results, and the parts that these were computed from."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from ectool.artifacts import folder
from ectool.artifacts.integrity.sealed_documents import read_document
from ectool.artifacts.store import read_manifest
from ectool.errors import InputError, IntegrityError
from ectool.parsing import first_finding, read_object
from ectool.reports.evaluation import RESULTS_VERSION
from ectool.stages.common.layout import RESULTS_FILE

_AGAIN = "evaluate again with the same --output, which rewrites this file alone"


def _check_inside(name: str) -> str:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError("a path outside of the folder")
    return name


Inside = Annotated[str, AfterValidator(_check_inside)]
Scalar = str | int | float | bool | None


class _Checked(BaseModel):
    """Values of exactly these types; further entries are kept as they are."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", allow_inf_nan=False)


class MetricEntry(_Checked):
    """An entry of the metrics of `results.json`."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    label: str
    definition: str
    suite: str
    higher_is_better: bool
    is_share: bool
    upper_bound: str | None = None
    kind: str = "interval"


class DataEntry(_Checked):
    """What `results.json` says of the images."""

    variants: dict[str, str]


class Results(_Checked):
    """`results.json` of an evaluation; docs/evaluation.md describes it."""

    version: int
    data: DataEntry
    configuration: dict[str, Any]
    suites: list[str]
    parts: dict[Inside, str]
    metrics: dict[str, MetricEntry]
    tables: dict[str, list[dict[str, Scalar]]]


class _AuditedModel(_Checked):
    name: str
    status: str
    error: str | None
    evaluation: Inside | None


class _Audit(_Checked):
    models: list[_AuditedModel]


def read_audit(path: Path) -> list[dict[str, Any]] | None:
    """Return the entry of each model of an audit; None if the folder is none.

    Raises:
        InputError: It is the folder of an audit with another content.
        IntegrityError: Its results are no JSON.
    """
    file = path / RESULTS_FILE
    document = read_document(file, kind=IntegrityError, fix=_AGAIN) if file.is_file() else {}
    if document.get("schema") != "audit":
        return None
    _check(_Audit, document, file)
    models: list[dict[str, Any]] = document["models"]
    return models


def _check(model: type[BaseModel], document: Mapping[str, Any], file: Path) -> None:
    try:
        model.model_validate(document)
    except ValidationError as error:
        got = first_finding(error)
        raise InputError(
            str(file), expected="the results that ectool writes", got=got, fix=_AGAIN
        ) from None


def read_results(path: Path, *, versions: Container[object] = (RESULTS_VERSION,)) -> dict[str, Any]:
    """Return `results.json` of a finished evaluation.

    Args:
        path: Folder of the evaluation.
        versions: Versions of the file that the caller can read.

    Raises:
        InputError: There is no finished evaluation, or its content is another one, or of another
            version.
        IntegrityError: The file is not what was written.
    """
    manifest = folder.open_folder(path, "evaluation")
    file = folder.verify_file(path / RESULTS_FILE, manifest)
    results = read_object(file, kind=IntegrityError, fix=_AGAIN)
    if results.get("version") == RESULTS_VERSION:
        _check(Results, results, file)
    elif results.get("version") not in versions:
        raise InputError(
            str(file),
            expected=f"results.json of version {RESULTS_VERSION}",
            got=f"version {results.get('version')}, of another version of ectool",
            fix="repeat `ectool evaluate` with the same --output, which rewrites this file alone",
        )
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
