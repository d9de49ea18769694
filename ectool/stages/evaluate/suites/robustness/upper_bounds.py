"""Robust accuracies that are only upper bounds, because gradients are hidden."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ectool.artifacts.artifact import Artifact
from ectool.datasets.base import Dataset
from ectool.datasets.subset import Subset, in_order_of_hash
from ectool.metrics.classification import is_correct
from ectool.stages.common.layout import FLAT, NO_GRADIENT, RANDOM
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.parts import Subject
from ectool.stages.evaluate.suites.robustness.conditions import Check, Condition

SAMPLES = 32
"""Most images of a check."""


def checks_of(possible: Iterable[Condition]) -> tuple[Check, ...]:
    """Return a check for every radius at which whole images are attacked by gradients.

    Ensembles of a package need no check: AutoAttack contains Square Attack.
    """
    groups: dict[tuple[str, float], list[Condition]] = {}
    for condition in possible:
        if not condition.only_background:
            groups.setdefault((condition.norm, condition.eps), []).append(condition)
    return tuple(
        Check(tuple(group))
        for group in groups.values()
        if all(condition.row.package is None for condition in group)
    )


def survivors_first(subject: Subject, check: Check) -> tuple[Dataset, np.ndarray]:
    """Return the images to be checked, at most 32, and their logits after the attacks.

    Images that withstood every attack come first, ordered by the hash of seed and sample id. If
    there are fewer, other images follow, which are not attacked again.
    """
    dataset, worst = subject.original, None
    for condition in check.conditions:
        with Artifact(subject.path(condition.file)) as artifact:
            logits = artifact.read(f"{condition.name}/logits")
        right = is_correct(logits if worst is None else worst, dataset.labels)
        worst = logits if worst is None else np.where(right[:, None], logits, worst)
    if worst is None:
        raise ValueError("a check follows an attack")
    survived = is_correct(worst, dataset.labels)
    order = in_order_of_hash(dataset, subject.config.seed)
    chosen = np.concatenate([order[survived[order]], order[~survived[order]]])
    rows = np.sort(chosen[:SAMPLES])
    return Subset(dataset, rows), worst[rows]


def upper_bounds(evaluated: Evaluated, measured: Iterable[Condition]) -> dict[str, str]:
    """Return the reason for each metric under attack that is only an upper bound.

    Args:
        evaluated: The artifacts.
        measured: The attacks that were run.
    """
    measured = tuple(measured)
    found: dict[str, str] = {}
    areas: dict[str, str] = {}
    for condition in measured:
        if reason := _unguided(evaluated, condition):
            found |= dict.fromkeys(condition.measures, reason)
    for check in checks_of(measured):
        reason = _broken(evaluated, check) if evaluated.has(check.file) else ""
        own = [found.get(condition.metric, "") for condition in check.conditions]
        if reason:
            names = [n for c in measured if _is_at(c, check) for n in c.measures]
            found |= {name: reason for name in names if name not in found}
        worst = reason or (own[0] if all(own) else "")
        if worst:
            found[f"robust_worst@{check.conditions[0].radius}"] = worst
            areas.setdefault(f"robust_area@{check.norm}", worst)
    return found | areas


def _is_at(condition: Condition, check: Check) -> bool:
    return (condition.norm, condition.eps) == (check.norm, check.eps)


def _unguided(evaluated: Evaluated, condition: Condition) -> str:
    """Return how many samples withstood an attack that had no gradient or a constant loss."""
    count, findings = len(evaluated.sample_ids), _findings(evaluated, condition.file)
    if stuck := findings.get(NO_GRADIENT, 0):
        return f"{stuck:g} of {count} samples were not changed, because they had no gradient"
    if flat := findings.get(FLAT, 0):
        return f"{flat:g} of {count} samples were not changed, because their loss did not change"
    return ""


def _broken(evaluated: Evaluated, check: Check) -> str:
    """Return how many samples the search changed and no gradient attack changed."""
    artifact = evaluated.parts[check.file]
    if random := _findings(evaluated, check.file).get(RANDOM, 0):
        return f"{random:g} of {len(artifact)} samples have other logits in a second forward pass"
    survived = np.all([evaluated.correct(c.file, c.name) for c in check.conditions], axis=0)
    present = set(artifact.sample_ids)
    checked = survived & np.array([name in present for name in evaluated.sample_ids])
    broken = checked & ~evaluated.correct(check.file, check.name)
    if not broken.any():
        return ""
    return (
        f"random search changed {broken.sum()} of {checked.sum()} samples that no gradient "
        "attack changed"
    )


def _findings(evaluated: Evaluated, file: str) -> Mapping[str, float]:
    manifest = evaluated.parts[file].manifest
    return {} if manifest is None else manifest.all_findings()
