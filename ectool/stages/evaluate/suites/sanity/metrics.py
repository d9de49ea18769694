"""Metrics of sanity: labels and definitions."""

from __future__ import annotations

from ectool.stages.evaluate.suites.info import MetricInfo

METRICS = {
    "sanity_cascading": MetricInfo(
        "likeness without training",
        "rank correlation with the heatmap of the same network after all layers, from the head "
        "on, have become random; 0 is as it should be (Adebayo et al. 2018)",
        higher_is_better=False,
        is_share=False,
    ),
    "sanity_independent": MetricInfo(
        "likeness without one block",
        "rank correlation with the heatmap of the same network one of whose blocks of layers has "
        "become random, mean over blocks (Adebayo et al. 2018)",
        higher_is_better=False,
        is_share=False,
    ),
}
