"""Metrics of classification and calibration: labels and definitions."""

from __future__ import annotations

from ectool.stages.evaluate.suites.info import MetricInfo

ACCURACIES = {
    "accuracy": MetricInfo("accuracy", "share classified correctly", higher_is_better=True),
    "map": MetricInfo(
        "mAP",
        "mean over classes of the area under the precision-recall curve (PASCAL VOC since 2010)",
        higher_is_better=True,
    ),
    "map11": MetricInfo(
        "mAP, 11 points",
        "mean over classes of the precision at recall 0, 0.1, ..., 1 (PASCAL VOC 2007)",
        higher_is_better=True,
    ),
    "label_accuracy": MetricInfo(
        "label accuracy",
        "share of a sample's counting labels whose logit has the correct sign",
        higher_is_better=True,
    ),
    "exact_match": MetricInfo(
        "exact match",
        "share of samples with all counting labels predicted correctly",
        higher_is_better=True,
    ),
}
"""Metrics of every variant of the images; debiasing has those of further variants."""
METRICS = {
    f"{name}@original": info.at("original", ": unchanged images")
    for name, info in ACCURACIES.items()
} | {
    "top5_accuracy": MetricInfo(
        "top-5 accuracy",
        "share whose class is among the five of the highest logits",
        higher_is_better=True,
    ),
    "balanced_accuracy": MetricInfo(
        "balanced accuracy",
        "mean over classes of the share of their images that is classified correctly",
        higher_is_better=True,
    ),
    "worst_group_accuracy": MetricInfo(
        "worst-group accuracy",
        "accuracy of the group of images with the lowest accuracy (Sagawa et al. 2020), which is "
        "low by chance with many small groups: the interval may be above the value",
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
        "mean over images of the squared differences between probabilities and true labels, "
        "summed over classes: 0 to 2 (Brier 1950)",
        higher_is_better=False,
        is_share=False,
    ),
    "ece": MetricInfo(
        "calibration error",
        "mean distance between confidence and accuracy over 15 bins of equal width (ECE, Guo et "
        "al. 2017), without a fitted temperature",
        higher_is_better=False,
    ),
}
