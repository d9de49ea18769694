"""Conditions of metrics that nobody measured, by their names."""

from __future__ import annotations

import re
from dataclasses import replace

from ectool.reports.content import Metric

FORM = re.compile(r"robust(_(?P<attack>(?!map)[\w-]+?))?(_(?P<measure>map|map11))?@(?P<radius>.*)")


def condition_of(name: str) -> dict[str, object]:
    """Return what `results.json` has of a metric's condition."""
    measure, _, detail = name.partition("@")
    if measure == "corruption_accuracy" and detail:
        return {"measure": "accuracy", "corruption": detail}
    if detail.startswith("replaced-"):
        return {"measure": measure, "replaced": float(detail.removeprefix("replaced-"))}
    if (found := FORM.fullmatch(name)) is None:
        return {}
    numerator, _, denominator = found["radius"].removeprefix("l2-").partition("/")
    return {
        "measure": found["measure"] or "accuracy",
        "attack": found["attack"] or "pgd",
        "norm": "l2" if found["radius"].startswith("l2-") else "linf",
        "radius": float(numerator) / float(denominator or 1),
    }


def metric_of(name: str, *facts: object, **given: object) -> Metric:
    """Return a metric with the condition that its name stands for."""
    return replace(Metric(*facts, **given), condition=condition_of(name))
