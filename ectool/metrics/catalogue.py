"""What each metric is called, means and wants; the one place that says so."""

from __future__ import annotations

from dataclasses import dataclass

VARIANT_MEANING = {
    "original": "pictures as they are",
    "mixed_same": "objects on backgrounds of their own class",
    "mixed_rand": "objects on backgrounds of random classes",
    "mixed_next": "objects on backgrounds of the next class",
    "only_fg": "objects on black",
    "only_bg_t": "backgrounds alone, tiled over the object",
    "only_bg_b": "backgrounds alone, the object's box black",
    "no_fg": "backgrounds with the object cut out",
}
OBJECT_FREE = ("only_bg_t", "only_bg_b", "no_fg")
"""Variants without the object, on which a high accuracy is a bad sign."""


@dataclass(frozen=True)
class MetricInfo:
    """What a metric is.

    Attributes:
        label: Name for tables.
        definition: One line.
        higher_is_better: Which way is good.
        is_share: Whether the range is [0, 1] (differences: [-1, 1]), to be read as percent.
    """

    label: str
    definition: str
    higher_is_better: bool
    is_share: bool = True


BY_VARIANT = {
    "accuracy": ("accuracy", "share classified correctly"),
    "map": (
        "mAP",
        "mean over classes of the area under the precision-recall curve (PASCAL VOC since 2010)",
    ),
    "map11": (
        "mAP, 11 points",
        "mean over classes of the precision at recall 0, 0.1, ..., 1 (PASCAL VOC 2007)",
    ),
    "label_accuracy": (
        "label accuracy",
        "share of a sample's counting labels whose logit has the right sign",
    ),
    "exact_match": ("exact match", "share of samples all of whose counting labels are right"),
}
"""Label and definition of what is measured on each background variant, `NAME@VARIANT`."""
BY_RADIUS = {
    "robust": ("robust accuracy", "share still classified correctly"),
    "robust_map": ("robust mAP", "mAP (PASCAL VOC since 2010)"),
    "robust_map11": ("robust mAP, 11 points", "mAP at 11 points (PASCAL VOC 2007)"),
}
"""Label and definition of what is measured under attack, `NAME@EPS`."""
METRICS: dict[str, MetricInfo] = {
    "top5_accuracy": MetricInfo(
        "top-5 accuracy",
        "share whose class is among the five of the highest logits",
        higher_is_better=True,
    ),
    "balanced_accuracy": MetricInfo(
        "balanced accuracy",
        "mean over classes of the share of their pictures classified correctly; interval by "
        "bootstrap within the classes",
        higher_is_better=True,
    ),
    "nll": MetricInfo(
        "negative log-likelihood",
        "mean cross-entropy of the true class, in nats",
        higher_is_better=False,
        is_share=False,
    ),
    "brier": MetricInfo(
        "Brier score",
        "mean over pictures of the squared differences between probabilities and truth, summed "
        "over classes: 0 to 2 (Brier 1950)",
        higher_is_better=False,
        is_share=False,
    ),
    "ece": MetricInfo(
        "calibration error",
        "mean distance between confidence and accuracy over 15 bins of equal width (ECE, Guo et "
        "al. 2017), no temperature fitted",
        higher_is_better=False,
    ),
    "background_gap": MetricInfo(
        "background gap",
        "accuracy on mixed_same minus accuracy on mixed_rand (BG-Gap, Xiao et al. 2021)",
        higher_is_better=False,
    ),
    "background_robustness": MetricInfo(
        "robust to every background",
        "share of objects classified correctly on every background of the test pictures "
        "(adversarial backgrounds challenge, Xiao et al. 2021)",
        higher_is_better=True,
    ),
    "pointing_game": MetricInfo(
        "pointing game",
        "share of heatmaps whose maximum lies within 15 px (at 224) of the object "
        "(Zhang et al. 2016)",
        higher_is_better=True,
    ),
    "energy_inside": MetricInfo(
        "energy inside the object",
        "share of the heatmap's sum that lies on the object (Wang et al. 2020)",
        higher_is_better=True,
    ),
    "relevance_rank": MetricInfo(
        "relevance rank",
        "share of the object's K pixels that are among the K highest of the heatmap "
        "(Arras et al. 2022)",
        higher_is_better=True,
    ),
    "mask_iou": MetricInfo(
        "mask IoU",
        "intersection over union of the object and the heatmap above half its maximum",
        higher_is_better=True,
    ),
    "explanation_consistency": MetricInfo(
        "explanation consistency",
        "mean of heatmap similarity times true-class probability under a background attack",
        higher_is_better=True,
    ),
}


def describe(name: str) -> MetricInfo:
    """Return what a metric is: one of `BY_VARIANT` or `BY_RADIUS` with its detail, or of `METRICS`.

    Args:
        name: Such as `accuracy@original`, `robust@2/255` or `mask_iou`.

    Raises:
        KeyError: There is no such metric.
    """
    base, _, detail = name.partition("@")
    if base in BY_VARIANT:
        label, definition = BY_VARIANT[base]
        return MetricInfo(
            f"{label}, {detail}",
            f"{definition}: {VARIANT_MEANING.get(detail, detail)}",
            higher_is_better=detail not in OBJECT_FREE,
        )
    if base in BY_RADIUS:
        label, definition = BY_RADIUS[base]
        return MetricInfo(
            f"{label}, {detail}",
            f"{definition} after PGD on the whole picture, L-inf, eps {detail}",
            higher_is_better=True,
        )
    return METRICS[name]
