"""Metrics of robustness: labels and definitions."""

from __future__ import annotations

from collections.abc import Iterator

from ectool.config.evaluation_attacks import EVALUATION_ATTACKS
from ectool.stages.evaluate.suites.info import Family, MetricInfo
from ectool.stages.evaluate.suites.robustness.conditions import PLAIN, metric_base

WORST = "worst"
"""Name of all attacks on the whole image together."""
UNDER_ATTACK = {
    "": ("robust accuracy", "share still classified correctly"),
    "_map": ("robust mAP", "mAP (PASCAL VOC since 2010)"),
    "_map11": ("robust mAP, 11 points", "mAP at 11 points (PASCAL VOC 2007)"),
}
"""Label and definition of what is measured under attack."""
NORMS = {"linf": "L-inf", "l2": "L2"}

METRICS = {
    f"robust_area@{norm}": MetricInfo(
        f"area under robustness, {norm}",
        f"mean accuracy over {name} radii from 0 to the maximum, linear between those measured, "
        "each under every attack on the whole image that was run",
        higher_is_better=True,
    )
    for norm, name in NORMS.items()
} | {
    "corruption_accuracy": MetricInfo(
        "accuracy under corruption",
        "mean accuracy over the benchmark's common corruptions, each at five severities "
        "(Hendrycks and Dietterich 2019)",
        higher_is_better=True,
    ),
    "mce": MetricInfo(
        "corruption error",
        "mean over corruptions of the errors in units of another model's (mCE, Hendrycks and "
        "Dietterich 2019): 1 if both have the same error",
        higher_is_better=False,
        is_share=False,
    ),
    "relative_mce": MetricInfo(
        "relative corruption error",
        "mean over corruptions of the errors they add, in units of another model's (relative mCE, "
        "Hendrycks and Dietterich 2019)",
        higher_is_better=False,
        is_share=False,
    ),
}


def within_radius(info: MetricInfo, radius: str) -> MetricInfo:
    """Return the metric under attack within a radius: `2/255`, in the L2 norm `l2-0.5`."""
    _, is_l2, eps = radius.partition("l2-")
    norm = NORMS["l2" if is_l2 else "linf"]
    return info.at(radius, f", {norm}, eps {eps if is_l2 else radius}")


def under_corruption(info: MetricInfo, kind: str) -> MetricInfo:
    """Return the metric under one kind of corruption."""
    return info.at(kind, f": {kind}")


def _rows() -> Iterator[tuple[str, str, str, bool]]:
    """Yield base name, suffix of the label, definition and multi-label support of each attack."""
    for name, row in EVALUATION_ATTACKS.items():
        suffix = "" if name == PLAIN else f" ({row.label})"
        yield metric_base(name), suffix, row.definition, row.supports_multilabel
    yield metric_base(WORST), f" ({WORST})", "each of the attacks on the whole image", False


FAMILIES = {
    f"{base}{ranked}@RADIUS": Family(
        MetricInfo(f"{label}{suffix}", f"{definition} after {attack}", higher_is_better=True),
        within_radius,
    )
    for base, suffix, attack, supports_multilabel in _rows()
    for ranked, (label, definition) in UNDER_ATTACK.items()
    if not ranked or supports_multilabel
} | {
    "corruption_accuracy@CORRUPTION": Family(
        MetricInfo(
            "accuracy under corruption",
            "mean accuracy over five severities of one common corruption (Hendrycks and Dietterich "
            "2019)",
            higher_is_better=True,
        ),
        under_corruption,
    )
}
