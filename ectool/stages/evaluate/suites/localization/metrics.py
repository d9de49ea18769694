"""Metrics of localization: labels and definitions."""

from __future__ import annotations

from ectool.stages.evaluate.suites.info import MetricInfo

METRICS = {
    "pointing_game": MetricInfo(
        "pointing game",
        "share of heatmaps whose maximum is within 15 px (at 224) of the object "
        "(Zhang et al. 2016)",
        higher_is_better=True,
    ),
    "pointing_game_difficult": MetricInfo(
        "pointing game, difficult",
        "pointing game over images whose objects cover less than a quarter, and that also show "
        "another class (Zhang et al. 2016)",
        higher_is_better=True,
    ),
    "energy_inside": MetricInfo(
        "energy inside the object",
        "share of the heatmap's sum that is on the object: energy-based pointing game (Wang et al. "
        "2020), equal to relevance mass (Arras et al. 2022); on its box where it has no mask",
        higher_is_better=True,
    ),
    "content_heatmap": MetricInfo(
        "content heatmap",
        "share of the heatmap's sum inside the boxes of the objects (Pillai and Pirsiavash 2021); "
        "zero maps are skipped, see zero maps",
        higher_is_better=True,
    ),
    "zero_maps": MetricInfo(
        "zero maps",
        "share of heatmaps that are zero everywhere: misses of the pointing game, left out of "
        "energy inside the object, content heatmap and relevance rank",
        higher_is_better=False,
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
    "max_box_acc": MetricInfo(
        "MaxBoxAcc",
        "share of heatmaps whose box, around the largest component above a threshold, has an "
        "intersection over union of 0.5 or more with a true one; threshold tuned on validation "
        "images (Choe et al. 2020)",
        higher_is_better=True,
    ),
    "max_box_acc_v2": MetricInfo(
        "MaxBoxAccV2",
        "share of heatmaps with a box, around a component above a threshold, that matches a true "
        "one: mean over intersections over union of 0.3, 0.5 and 0.7, each with a threshold tuned "
        "on validation images (Choe et al. 2020)",
        higher_is_better=True,
    ),
    "location_instability": MetricInfo(
        "location instability",
        "standard deviation within a class of the distance from a heatmap's maximum to a part of "
        "the object, in diagonals of the image, mean over parts and classes (Zhang et al. 2018)",
        higher_is_better=False,
        is_share=False,
    ),
}
