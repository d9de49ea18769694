"""Accuracy under attack, at every radius and over all of them, and under common corruptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool

from ectool.artifacts.artifact import Artifact
from ectool.metrics.robustness import area_under_robustness_curve
from ectool.stages.common.layout import PREDICTIONS
from ectool.stages.common.shards import Work
from ectool.stages.evaluate.suites.base import (
    Conditions,
    Resampling,
    Suite,
    Table,
    Values,
)
from ectool.stages.evaluate.suites.classification.suite import mean_average_precisions
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.parts import ORIGINAL, Part, Subject, mapped
from ectool.stages.evaluate.suites.robustness.applicable import applicable, lack, package_key
from ectool.stages.evaluate.suites.robustness.conditions import (
    Check,
    Condition,
    Norm,
    conditions,
    metric_base,
)
from ectool.stages.evaluate.suites.robustness.corruption import (
    corruption_columns,
    corruption_conditions,
    corruption_curves,
    corruption_parts,
)
from ectool.stages.evaluate.suites.robustness.metrics import WORST
from ectool.stages.evaluate.suites.robustness.upper_bounds import (
    SAMPLES,
    checks_of,
    survivors_first,
    upper_bounds,
)
from ectool.stages.evaluate.suites.tables import mean_lines
from ectool.types import Estimate

MIN_RADII = 2
"""Minimum number of radii besides 0 for an area under the curve."""

Correct = Bool[np.ndarray, "n"]


def parts(subject: Subject) -> tuple[Part, ...]:
    """Return the predictions under every attack at every radius, and under every corruption.

    Raises:
        InputError: The package of an attack is not installed, or the baseline of mCE lacks a
            corruption.
    """
    possible = tuple(applicable(subject))
    attacks = tuple(_attack_part(subject, condition) for condition in possible)
    checks = () if subject.is_multilabel else checks_of(possible)
    checked = tuple(_check_part(subject, check) for check in checks)
    return (*attacks, *checked, *corruption_parts(subject))


def _attack_part(subject: Subject, condition: Condition) -> Part:
    """Return the artifact of one attack at one radius, with its own key."""
    key = condition.key(subject.config.restarts, subject.config.seed)
    return mapped(
        condition.file,
        "predictions",
        partial(_attack, condition),
        options=key | package_key([condition.attack]),
        parents=(PREDICTIONS,),
        title=f"{condition.row.label} {condition.radius}",
    )


def _attack(condition: Condition, subject: Subject) -> Work[Any]:
    from ectool.stages.evaluate.suites.robustness.attack import (
        DLR_CLASSES,
        AttackWork,
        GradientAttack,
        targeted_loss,
    )
    from ectool.stages.evaluate.suites.robustness.autoattack import AutoAttack

    config, model = subject.config, subject.model
    with Artifact(subject.path(PREDICTIONS)) as predictions:
        clean = predictions.read(f"{ORIGINAL}/logits")
    if condition.row.loss == "targeted" and (loss := targeted_loss(clean.shape[1])) != "dlr":
        subject.reporter.note(f"{condition.name}: by {loss}; DLR needs {DLR_CLASSES} classes")
    attack = (
        AutoAttack(model, condition, config.seed)
        if condition.row.method is None
        else GradientAttack(model, condition, config.restarts, config.seed)
    )
    return AttackWork(model, subject.original, condition, clean, attack)


def _check_part(subject: Subject, check: Check) -> Part:
    """Return the artifact of a gradient-free search around the robust images."""

    def work(subject: Subject) -> Work[Any]:
        from ectool.stages.evaluate.suites.robustness.check import CheckWork

        dataset, attacked = survivors_first(subject, check)
        return CheckWork(subject.model, dataset, check, attacked, subject.config.seed)

    return mapped(
        check.file,
        "predictions",
        work,
        options=check.key(subject.config.seed),
        parents=tuple(condition.file for condition in check.conditions),
        chosen=lambda subject: survivors_first(subject, check)[0],
        title=f"random search {check.conditions[0].radius}",
        most=SAMPLES,
    )


def columns(evaluated: Evaluated) -> dict[str, Values]:
    """Return, for every sample, the correctness under each attack, all of them, and corruptions."""
    if evaluated.is_multilabel:
        return {}
    attacked = _attacked(evaluated)
    found = {f"{c.base}@{c.radius}": correct for c, correct in attacked.items()}
    worst: dict[str, list[tuple[float, Correct]]] = {}
    for (norm, eps, radius), group in _by_radius(attacked).items():
        survived = np.all(group, axis=0)
        worst.setdefault(norm, []).append((eps, survived))
        if len(group) > 1:
            found[f"robust_worst@{radius}"] = survived
    return (
        {name: column.astype(np.float64) for name, column in found.items()}
        | _areas(_clean(evaluated), worst)
        | corruption_columns(evaluated)
    )


def _attacked(evaluated: Evaluated) -> dict[Condition, Correct]:
    """Return which samples are classified correctly under each attack."""
    return {
        condition: evaluated.correct(condition.file, condition.name)
        for condition in _measured(evaluated)
    }


def _measured(evaluated: Evaluated) -> list[Condition]:
    every = conditions(evaluated.config)
    return [condition for condition in every if evaluated.has(condition.file)]


def _clean(evaluated: Evaluated) -> Correct:
    return evaluated.correct(PREDICTIONS, ORIGINAL)


def _by_radius(
    attacked: Mapping[Condition, Correct],
) -> dict[tuple[Norm, float, str], list[Correct]]:
    """Group attacks on whole images by norm and radius."""
    groups: dict[tuple[Norm, float, str], list[Correct]] = {}
    for condition, correct in attacked.items():
        if not condition.only_background:
            at = (condition.norm, condition.eps, condition.radius)
            groups.setdefault(at, []).append(correct)
    return groups


def _areas(clean: Correct, worst: Mapping[str, list[tuple[float, Correct]]]) -> dict[str, Values]:
    """Return the contribution of each sample to the area under the curve of each norm."""
    found = {}
    for norm, points in worst.items():
        if len(points) >= MIN_RADII:
            radii, correct = zip((0.0, clean), *points, strict=True)
            found[f"robust_area@{norm}"] = area_under_robustness_curve(np.stack(correct), radii)
    return found


def estimates(evaluated: Evaluated, resampling: Resampling) -> dict[str, Estimate]:
    """Return mean average precision under every attack, for multi-label data."""
    found: dict[str, Estimate] = {}
    if evaluated.is_multilabel:
        for condition in _measured(evaluated):
            logits = evaluated.logits(condition.file, condition.name)
            found |= mean_average_precisions(
                logits, evaluated.labels, condition.radius, resampling, f"{condition.base}_"
            )
    return found


def tables(evaluated: Evaluated, resampling: Resampling) -> dict[str, Table]:  # noqa: ARG001 (protocol)
    """Return accuracy over the radius under each attack, and over the severity of corruptions."""
    if evaluated.is_multilabel:
        return {}
    lines = mean_lines(_curves(evaluated), "share") + corruption_curves(evaluated)
    return {"curves": lines} if lines else {}


def _curves(evaluated: Evaluated) -> Iterator[tuple[dict[str, object], Correct]]:
    """Yield the position on a curve and the correct samples there; radius 0 first."""
    clean, begun = _clean(evaluated), set()
    for condition, correct in _attacked(evaluated).items():
        curve = {"curve": "robustness", "attack": condition.attack, "norm": condition.norm}
        if tuple(curve.values()) not in begun:
            begun.add(tuple(curve.values()))
            yield {**curve, "eps": 0.0}, clean
        yield {**curve, "eps": condition.eps}, correct


def metric_conditions(evaluated: Evaluated) -> Conditions:
    """Return attack, norm and radius of each metric, and the corruption of those under one."""
    found: Conditions = {}
    for one in _measured(evaluated):
        found |= {
            name: {"measure": measure, **one.fields} for name, measure in one.measures.items()
        }
        worst = {"measure": "accuracy", **one.fields, "attack": WORST}
        found[f"{metric_base(WORST)}@{one.radius}"] = worst
    return found | corruption_conditions(evaluated)


def _upper_bounds(evaluated: Evaluated) -> dict[str, str]:
    return upper_bounds(evaluated, _measured(evaluated))


SUITE = Suite(
    parts,
    columns,
    estimates,
    tables,
    conditions=metric_conditions,
    upper_bounds=_upper_bounds,
    lack=lack,
)
