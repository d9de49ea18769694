"""Outcomes of artifacts: findings of their manifests, as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ectool.artifacts.store import read_manifest
from ectool.stages.common import spread
from ectool.stages.common.constant_maps import FINDING, UNALTERED, UNDEFINED, ZERO
from ectool.stages.common.layout import (
    AUTO_EPS,
    AUTO_EPS_AT_END,
    AUTO_EPS_CHANGED,
    AUTO_EPS_SAMPLES,
    NO_GRADIENT,
    UNMOVED,
)
from ectool.types import Outcome


def outcome_of(path: Path, *, is_new: bool) -> Outcome:
    """Return the outcome of the stage that an artifact belongs to.

    Args:
        path: A finished artifact.
        is_new: Whether any of it was computed.
    """
    return Outcome(path, is_new, tuple(findings_of(path)))


def findings_of(path: Path) -> Iterator[str]:
    """Yield a sentence for each finding that can spoil results; it begins with the path."""
    manifest = read_manifest(path)
    if manifest is None:
        return
    found = manifest.all_findings()
    for sentence in _of_heatmaps(found, manifest.length):
        yield f"{path}: {sentence}"
    if manifest.kind == "samples":
        for sentence in of_samples(found, manifest.length):
            yield f"{path}: {sentence}"
    if manifest.kind == "weights":
        for sentence in spread.sentences(found, manifest.length):
            yield f"{path}: {sentence}"


def _of_heatmaps(findings: Mapping[str, float], length: int) -> Iterator[str]:
    """Yield findings about heatmaps, or about the heatmaps that another artifact is made from.

    Single zero maps are common after a ReLU, so only their count is recorded.
    """
    if any(name.startswith(ZERO) and count >= length for name, count in findings.items()):
        yield (
            "all heatmaps are zero, so they show nothing; check the model, or choose another "
            "--layer or --method"
        )
    if unaltered := int(findings.get(UNALTERED, 0)):
        yield (
            f"{unaltered} logits did not change under random weights, so some blocks were not "
            "randomised; see its tables"
        )
    meant = (FINDING, UNDEFINED)
    if constant := sum(int(n) for name, n in findings.items() if name.startswith(meant)):
        yield (
            f"{constant} heatmaps are constant (or zero), so they show nothing and give no "
            "background mask; choose a layer with a larger map (--layer), a larger --size or "
            "another --method"
        )


def of_samples(findings: Mapping[str, float], length: int) -> Iterator[str]:
    """Yield findings about samples that are unchanged or had no usable gradient, and the radius."""
    if AUTO_EPS_AT_END in findings:
        yield _radius_at_end(findings)
    if unmoved := findings.get(UNMOVED):
        yield (
            f"{unmoved} of {length} samples are unchanged: the steps are smaller than one grey "
            "level; increase --eps, --alpha or --steps"
        )
    if stuck := findings.get(NO_GRADIENT):
        yield (
            f"{stuck} of {length} samples had no usable gradient: the model rounds or is "
            "saturated, so this attack is no evidence of robustness"
        )


def _radius_at_end(findings: Mapping[str, float]) -> str:
    """Return the finding that no radius changes half of the correct predictions."""
    changed, count = 100 * findings[AUTO_EPS_CHANGED], int(findings[AUTO_EPS_SAMPLES])
    if count == 0:
        return "--eps auto: no prediction is correct, so eps is the smallest radius; train longer"
    end = "smallest" if changed >= 50 else "largest"
    return (
        f"--eps auto: the {end} radius, {findings[AUTO_EPS]:.4g}, changes {changed:.0f} % of "
        f"{count} correct predictions, so explanation consistency may have no spread"
    )
