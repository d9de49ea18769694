"""Whether the answer survives attacks and corruptions."""

from __future__ import annotations

from ectool.stages.evaluate.suites.info import Family, MetricInfo

ATTACKS = {
    "robust": ("", "PGD (Madry et al. 2018)"),
    "robust_fgsm": (" (FGSM)", "one step of its gradient's sign (FGSM, Goodfellow et al. 2015)"),
    "robust_apgd-ce": (" (APGD-CE)", "Auto-PGD on cross-entropy (Croce and Hein 2020)"),
    "robust_apgd-t": (
        " (APGD-T)",
        "Auto-PGD towards each of the 9 likeliest wrong classes (Croce and Hein 2020)",
    ),
    "robust_autoattack": (" (AutoAttack)", "AutoAttack (Croce and Hein 2020) by torchattacks"),
    "robust_background": (" (background)", "PGD on the pixels outside the object alone"),
    "robust_worst": (" (worst)", "each of the attacks on the whole image that were run"),
}
"""What is added to a label, and what is done, under attack."""
OF_SEVERAL = ("robust", "robust_fgsm", "robust_background")
"""Attacks on samples with several labels, of which mean average precision is measured."""
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
        f"mean accuracy over {name} radii from 0 to the greatest, linear between those measured, "
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
        "Dietterich 2019): 1 where both err alike",
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
    """Return what a metric is under attack within a radius: `2/255`, in the L2 norm `l2-0.5`."""
    _, is_l2, eps = radius.partition("l2-")
    norm = NORMS["l2" if is_l2 else "linf"]
    return info.at(radius, f", {norm}, eps {eps if is_l2 else radius}")


def under_corruption(info: MetricInfo, kind: str) -> MetricInfo:
    """Return what a metric is under one kind of corruption."""
    return info.at(kind, f": {kind}")


FAMILIES = {
    f"{attack}{ranked}@RADIUS": Family(
        MetricInfo(f"{label}{addition}", f"{definition} after {what}", higher_is_better=True),
        within_radius,
    )
    for attack, (addition, what) in ATTACKS.items()
    for ranked, (label, definition) in UNDER_ATTACK.items()
    if not ranked or attack in OF_SEVERAL
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
