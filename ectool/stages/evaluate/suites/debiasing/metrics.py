"""Metrics of debiasing: labels and definitions."""

from __future__ import annotations

from dataclasses import replace

from ectool.stages.evaluate.suites.classification.metrics import ACCURACIES
from ectool.stages.evaluate.suites.info import Family, MetricInfo

VARIANT_MEANING = {
    "mixed_same": "objects on backgrounds of their own class",
    "mixed_rand": "objects on backgrounds of random classes",
    "mixed_next": "objects on backgrounds of the next class",
    "only_fg": "objects on black",
    "only_bg_t": "backgrounds only, tiled over the object",
    "only_bg_b": "backgrounds only, the object's box black",
    "no_fg": "backgrounds with the object cut out",
}
OBJECT_FREE = ("only_bg_t", "only_bg_b", "no_fg")
"""Variants without the object, for which lower accuracy is better."""

METRICS = {
    "background_gap": MetricInfo(
        "background gap",
        "accuracy on mixed_same minus accuracy on mixed_rand (BG-Gap, Xiao et al. 2021)",
        higher_is_better=False,
        is_difference=True,
    ),
    "background_robustness": MetricInfo(
        "robust to every background",
        "share of objects classified correctly on every background of the test images "
        "(adversarial backgrounds challenge, Xiao et al. 2021)",
        higher_is_better=True,
    ),
}


def on_variant(info: MetricInfo, variant: str) -> MetricInfo:
    """Return a metric on one variant of the images.

    Raises:
        ValueError: The share of a replaced background is not a number.
    """
    found = info.at(variant, f": {_meaning(variant)}")
    return replace(found, higher_is_better=variant not in OBJECT_FREE)


def _meaning(variant: str) -> str:
    """Return the content of the images of a variant, or of images with replaced background."""
    _, replaced, share = variant.partition("replaced-")
    if not replaced:
        return VARIANT_MEANING.get(variant, variant)
    return f"{float(share):.0%} of the background replaced by that of mixed_rand, in tiles"


FAMILIES = {f"{name}@VARIANT": Family(info, on_variant) for name, info in ACCURACIES.items()}
