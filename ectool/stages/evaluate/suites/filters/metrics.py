"""Metrics of filters: labels and definitions."""

from __future__ import annotations

from ectool.stages.evaluate.suites.info import MetricInfo

METRICS = {
    "filter_instability": MetricInfo(
        "location instability of the filters",
        "standard deviation, over the images of the class that activates a filter most, of the "
        "distance from the filter's maximum to a landmark of the object, in diagonals of the "
        "image; mean over filters and landmarks: the parts, or else centre and corners of the "
        "box (Zhang et al. 2018)",
        higher_is_better=False,
        is_share=False,
    ),
    "group_purity": MetricInfo(
        "group purity of the filters",
        "share of the similarity (correlation of maps plus 1) of a group of filters that is "
        "inside the group, mean over 16 groups from spectral clustering: minus the loss of Shen "
        "et al. (2021), divided by the number of groups",
        higher_is_better=True,
    ),
}
