"""Label, definition and direction of every metric, by suite.

A new metric is a function in ectool/metrics and a row in `suites/SUITE/metrics.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ectool.stages.evaluate.suites.classification import metrics as classification
from ectool.stages.evaluate.suites.debiasing import metrics as debiasing
from ectool.stages.evaluate.suites.faithfulness import metrics as faithfulness
from ectool.stages.evaluate.suites.filters import metrics as filters
from ectool.stages.evaluate.suites.info import Family, MetricInfo
from ectool.stages.evaluate.suites.localization import metrics as localization
from ectool.stages.evaluate.suites.robustness import metrics as robustness
from ectool.stages.evaluate.suites.sanity import metrics as sanity
from ectool.stages.evaluate.suites.stability import metrics as stability

__all__ = ["FAMILIES", "METRICS", "Family", "MetricInfo", "describe", "suite_of"]

METRICS: Mapping[str, Mapping[str, MetricInfo]] = {
    "classification": classification.METRICS,
    "debiasing": debiasing.METRICS,
    "robustness": robustness.METRICS,
    "localization": localization.METRICS,
    "faithfulness": faithfulness.METRICS,
    "sanity": sanity.METRICS,
    "stability": stability.METRICS,
    "filters": filters.METRICS,
}
"""Metrics by suite and name."""
FAMILIES: Mapping[str, Mapping[str, Family]] = {
    "debiasing": debiasing.FAMILIES,
    "robustness": robustness.FAMILIES,
    "faithfulness": faithfulness.FAMILIES,
    "stability": stability.FAMILIES,
}
"""Metrics of any detail by suite, under names such as `robust@RADIUS`."""

_METRICS = {name: (suite, info) for suite, own in METRICS.items() for name, info in own.items()}
_FAMILIES = {
    name.partition("@")[0]: (suite, family)
    for suite, own in FAMILIES.items()
    for name, family in own.items()
}


def describe(name: str) -> MetricInfo:
    """Return label and definition of a metric.

    Args:
        name: Such as `accuracy@original`, `robust@2/255` or `mask_iou`.

    Raises:
        KeyError: There is no such metric.
        ValueError: Its detail is invalid.
    """
    return _find(name)[1]


def suite_of(name: str) -> str:
    """Return the suite that measures a metric.

    Args:
        name: As for `describe`.

    Raises:
        KeyError: There is no such metric.
        ValueError: Its detail is invalid.
    """
    return _find(name)[0]


def _find(name: str) -> tuple[str, MetricInfo]:
    """Return suite and definition; the name itself comes before families."""
    if name in _METRICS:
        return _METRICS[name]
    base, _, detail = name.partition("@")
    if not detail:
        raise KeyError(name)
    suite, family = _FAMILIES[base]
    return suite, family.of(family.info, detail)
