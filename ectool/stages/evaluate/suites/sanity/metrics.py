"""Metrics of sanity: labels and definitions."""

from __future__ import annotations

from ectool.stages.evaluate.suites.info import MetricInfo

METRICS = {
    "sanity_cascading": MetricInfo(
        "similarity after randomising the weights",
        "Spearman rank correlation with the heatmap of the same network after all layers, from the "
        "head to the input, are randomised; 0 is ideal (Adebayo et al. 2018)",
        higher_is_better=False,
        is_share=False,
    ),
    "sanity_independent": MetricInfo(
        "similarity after randomising one block",
        "Spearman rank correlation with the heatmap of the same network after one block of layers "
        "is randomised, mean over blocks (Adebayo et al. 2018)",
        higher_is_better=False,
        is_share=False,
    ),
}
