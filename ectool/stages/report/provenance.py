"""Origin of a report: data, versions and options from the manifests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ectool.artifacts.manifest import DataSource, Manifest
from ectool.artifacts.store import read_manifest
from ectool.options import format_radius
from ectool.reports.report import Provenance
from ectool.stages.common.inputs import short
from ectool.stages.common.layout import AUTO_EPS

AUTO = "auto"
"""Value of --eps that stands for a radius found by the stage."""


def read_provenance(artifacts: Iterable[Path], command: str) -> Provenance:
    """Return the data, versions and options behind artifacts.

    Args:
        artifacts: Paths of the artifacts; those without a manifest are skipped.
        command: Command that makes the report.
    """
    found = (read_manifest(path) for path in artifacts)
    manifests = [manifest for manifest in found if manifest is not None]
    return Provenance(
        data=_data(manifests),
        versions=_versions(manifests),
        settings=_settings(manifests),
        command=command,
    )


def describe_source(source: DataSource) -> str:
    """Return data set, split and fingerprint."""
    return f"{source.data} ({source.split}, {short(source.fingerprint)})"


def _data(manifests: Sequence[Manifest]) -> tuple[str, ...]:
    """Return each data set once."""
    sources = [m.recipe.source for m in manifests if m.recipe.source is not None]
    return tuple(dict.fromkeys(map(describe_source, sources)))


def _versions(manifests: Sequence[Manifest]) -> dict[str, str]:
    """Return the version of each library, or all versions if runs differ."""
    found: dict[str, dict[str, None]] = {}
    for manifest in manifests:
        for name, version in manifest.versions.items():
            found.setdefault(name, {})[version] = None
    return {name: " and ".join(versions) for name, versions in found.items()}


def _settings(manifests: Sequence[Manifest]) -> dict[str, dict[str, Any]]:
    """Return the options of each stage whose values all its artifacts share."""
    shared: dict[str, dict[str, Any]] = {}
    for manifest in manifests:
        config = manifest.recipe.config
        known = shared.setdefault(manifest.recipe.stage, config)
        same = {name: value for name, value in known.items() if config.get(name) == value}
        shared[manifest.recipe.stage] = same
    if shared.get("perturb", {}).get("eps") == AUTO and (radii := _found_radii(manifests)):
        shared["perturb"] = {**shared["perturb"], "eps": f"{AUTO}: {', '.join(radii)}"}
    return shared


def _found_radii(manifests: Sequence[Manifest]) -> list[str]:
    """Return the radii that `perturb --eps auto` has found, in ascending order."""
    found = {
        (one.all_findings()[AUTO_EPS], one.recipe.config["norm"])
        for one in manifests
        if AUTO_EPS in one.all_findings()
    }
    return [format_radius(eps, norm) for eps, norm in sorted(found)]
