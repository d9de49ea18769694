"""Metrics of stability: labels and definitions."""

from __future__ import annotations

from ectool.config.measure import MEANING, SIMILARITY, STABILITY
from ectool.stages.evaluate.suites.info import Family, MetricInfo
from ectool.stages.evaluate.suites.stability.protocol import StabilityProtocol

PROTOCOL = StabilityProtocol()

METRICS = {
    "explanation_consistency": MetricInfo(
        "explanation consistency",
        "mean of the product of heatmap similarity and prediction stability when the background "
        "is replaced by that of another image; needs no annotations of the background",
        higher_is_better=True,
    ),
    "heatmap_similarity": MetricInfo(
        "heatmap similarity",
        f"{MEANING[SIMILARITY]}, before and after that, the first factor of explanation "
        "consistency",
        higher_is_better=True,
    ),
    "prediction_stability": MetricInfo(
        "prediction stability",
        f"{MEANING[STABILITY]}, the second factor of explanation consistency",
        higher_is_better=True,
    ),
    "consistency_worst": MetricInfo(
        "worst consistency found",
        "minimum of the explanation consistency with that background and under an attack on the "
        "explanation (after Ghorbani et al. 2019), several starts",
        higher_is_better=True,
    ),
    "consistency_noise": MetricInfo(
        "consistency under noise",
        f"explanation consistency under Gaussian noise of severity {PROTOCOL.severity} (Hendrycks "
        "and Dietterich 2019)",
        higher_is_better=True,
    ),
    "consistency_jpeg": MetricInfo(
        "consistency under JPEG",
        f"explanation consistency under JPEG compression of severity {PROTOCOL.severity} "
        "(Hendrycks and Dietterich 2019)",
        higher_is_better=True,
    ),
    "sensitivity_max": MetricInfo(
        "max-sensitivity",
        f"max change of the heatmap over {PROTOCOL.draws} random points within {PROTOCOL.radius} "
        "(L-inf) of the image, divided by the norm of the heatmap (Yeh et al. 2019)",
        higher_is_better=False,
        is_share=False,
    ),
}


def with_method(info: MetricInfo, method: str) -> MetricInfo:
    """Return a metric that compares with another method."""
    return info.at(method, f": {method}")


FAMILIES = {
    "agreement@METHOD": Family(
        MetricInfo(
            "agreement",
            "Spearman rank correlation with another method's heatmap, at the resolution of the "
            "coarser of the two",
            higher_is_better=True,
            is_share=False,
        ),
        with_method,
    )
}
