"""Metrics of faithfulness: labels and definitions."""

from __future__ import annotations

from ectool.stages.evaluate.suites.faithfulness.protocol import FaithfulnessProtocol
from ectool.stages.evaluate.suites.info import Family, MetricInfo

PROTOCOL = FaithfulnessProtocol()

CONTROL_MAPS = {
    "random": "heatmaps of random values",
    "centre": "heatmaps with a spot at the centre",
}
"""Heatmaps that do not depend on the model, as baselines of faithfulness."""

METRICS = {
    "deletion": MetricInfo(
        "deletion",
        "area under the probability of the true class while the most relevant pixels are replaced "
        f"by the mean colour, in {PROTOCOL.steps} steps (Petsiuk et al. 2018)",
        higher_is_better=False,
    ),
    "insertion": MetricInfo(
        "insertion",
        "area under the probability of the true class while the most relevant pixels are inserted "
        f"into the blurred image, in {PROTOCOL.steps} steps (Petsiuk et al. 2018)",
        higher_is_better=True,
    ),
    "pixel_flipping": MetricInfo(
        "pixel flipping",
        "mean drop of the true class's probability while the most relevant patches of "
        f"{PROTOCOL.patch} x {PROTOCOL.patch}, at most {PROTOCOL.patches}, are replaced by the "
        "mean colour (AOPC, Samek et al. 2017)",
        higher_is_better=True,
        is_difference=True,
    ),
    "average_drop": MetricInfo(
        "average drop",
        "drop of the true class's probability when the image is masked by its heatmap, as a share "
        "of that of the whole image, 0 for a rise (Chattopadhay et al. 2018)",
        higher_is_better=False,
    ),
    "increase_in_confidence": MetricInfo(
        "increase in confidence",
        "share of images whose true class is more probable when they are masked by their heatmap "
        "(Chattopadhay et al. 2018)",
        higher_is_better=True,
    ),
    "road_morf": MetricInfo(
        "ROAD, most relevant first",
        "accuracy without the most relevant 10 % to 90 % of the pixels, imputed from their "
        "neighbours, mean over nine shares (Rong et al. 2022)",
        higher_is_better=False,
    ),
    "road_lerf": MetricInfo(
        "ROAD, least relevant first",
        "accuracy without the least relevant 10 % to 90 % of the pixels, imputed from their "
        "neighbours, mean over nine shares (Rong et al. 2022)",
        higher_is_better=True,
    ),
    "road": MetricInfo(
        "ROAD",
        "accuracy without the least relevant pixels minus that without the most relevant ones, "
        "imputed, mean over nine shares (Rong et al. 2022)",
        higher_is_better=True,
        is_difference=True,
    ),
}


def by_control(info: MetricInfo, kind: str) -> MetricInfo:
    """Return a metric of heatmaps that do not depend on the model.

    Raises:
        KeyError: The kind of heatmaps is unknown.
    """
    return info.at(kind, f"; for {CONTROL_MAPS[kind]}")


FAMILIES = {f"{name}@MAPS": Family(info, by_control) for name, info in METRICS.items()}
