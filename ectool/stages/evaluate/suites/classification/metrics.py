"""How often the model is right, and whether it knows how sure it may be."""

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
        "share of a sample's counting labels whose logit has the right sign",
        higher_is_better=True,
    ),
    "exact_match": MetricInfo(
        "exact match",
        "share of samples all of whose counting labels are right",
        higher_is_better=True,
    ),
}
"""What is measured on every variant of the images; on others than these by debiasing."""
METRICS = {
    f"{name}@original": info.at("original", ": images as they are")
    for name, info in ACCURACIES.items()
} | {
    "top5_accuracy": MetricInfo(
        "top-5 accuracy",
        "share whose class is among the five of the highest logits",
        higher_is_better=True,
    ),
    "balanced_accuracy": MetricInfo(
        "balanced accuracy",
        "mean over classes of the share of their images classified correctly",
        higher_is_better=True,
    ),
    "worst_group_accuracy": MetricInfo(
        "worst-group accuracy",
        "accuracy in the group of images that is classified worst (Sagawa et al. 2020), which "
        "many small groups make low by chance: the interval may lie above most of the values",
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
        "al. 2017), no temperature fitted",
        higher_is_better=False,
    ),
}
