"""How much of the accuracy is left under corruptions, and under growing attacks.

All but `error_rates` are columns of one number per sample whose mean is the metric, so intervals
and paired differences come from `ectool.metrics.statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64

from ectool.errors import InputError
from ectool.metrics.curves import area_under_curve

Correct = Bool[np.ndarray, "kinds severities n"]
Rates = Float[np.ndarray, "baseline_kinds baseline_severities"]
Column = Float64[np.ndarray, "n"]


def error_rates(correct: Correct) -> Float64[np.ndarray, "kinds severities"]:
    """Return the share of samples classified wrongly, for each kind and severity.

    Args:
        correct: Whether each sample is recognised under each kind and severity.

    Returns:
        Errors, 0 to 1; of one model they serve as the baseline of another.
    """
    return np.asarray(1 - correct.mean(axis=2))


def correctness_under_corruption(correct: Correct) -> Column:
    """Return the share of corruptions under which each sample is recognised.

    ``mean over kinds and severities of correct``; one minus its mean is the mean corruption error
    without a baseline (not normalised).

    Args:
        correct: Whether each sample is recognised under each kind and severity.

    Returns:
        Shares, 0 to 1.
    """
    return np.asarray(correct.mean(axis=(0, 1)))


def corruption_errors(correct: Correct, baseline: Rates) -> Column:
    """Return every sample's part in mCE, the mean corruption error against a baseline.

    ``CE[kind] = sum(errors[kind]) / sum(baseline[kind])``, sums over severities, and
    ``mCE = mean over kinds of CE`` (Hendrycks and Dietterich 2019, section 4.1,
    https://arxiv.org/abs/1903.12261, with AlexNet as baseline). The baseline is taken as exact,
    so a sample's part is the same formula with its own errors of 0 or 1, and mCE their mean.

    Args:
        correct: Whether each sample is recognised under each kind and severity.
        baseline: Error rates of the baseline under the same, in the same order.

    Returns:
        Parts, at least 0; their mean is 1 where the model errs as much as the baseline. NaN
        throughout where the baseline makes no error at all under one of the kinds.

    Raises:
        InputError: The baseline has other kinds or severities.
    """
    _check_baseline(correct, baseline)
    return _ratio(_errors(correct), baseline.sum(axis=1))


def relative_corruption_errors(
    correct: Correct, clean: Bool[np.ndarray, "n"], baseline: Rates, baseline_clean: float
) -> Column:
    """Return every sample's part in relative mCE: how much corruption adds to the clean error.

    ``sum(errors[kind] - clean error) / sum(baseline[kind] - baseline_clean)``, sums over
    severities, then the mean over kinds (source as for `corruption_errors`).

    Args:
        correct: Whether each sample is recognised under each kind and severity.
        clean: Whether it is recognised as it is.
        baseline: Error rates of the baseline under the same, in the same order.
        baseline_clean: Error rate of the baseline on the images as they are.

    Returns:
        Parts, of either sign; their mean is 1 where corruption costs the model as much as the
        baseline. NaN throughout where a kind costs the baseline nothing.

    Raises:
        InputError: The baseline has other kinds or severities.
    """
    _check_baseline(correct, baseline)
    added = _errors(correct) - correct.shape[1] * (~clean).astype(np.float64)
    return _ratio(added, (baseline - baseline_clean).sum(axis=1))


def area_under_robustness_curve(
    correct: Bool[np.ndarray, "radii n"], eps: Sequence[float]
) -> Column:
    """Return every sample's part in the area under the curve of accuracy over eps.

    Trapezoids, divided by the width of the curve, so the mean of the parts is the mean accuracy
    over radii from the first to the last, linear between those that were measured.

    Args:
        correct: Whether each sample is recognised at each radius; 0 stands for the clean image.
        eps: The radii, ascending, at least two; in whatever unit.

    Returns:
        Parts, 0 to 1; 1 for a sample that no attack changes.

    Raises:
        InputError: The radii do not ascend, or are fewer than two, or not one per row.
    """
    radii = np.asarray(eps, np.float64)
    if len(radii) < 2 or len(radii) != len(correct) or not (np.diff(radii) > 0).all():
        raise InputError(
            "eps",
            expected=f"at least two ascending radii, one for each of {len(correct)} rows",
            got=str(list(eps)),
            fix="sort the radii and give each once",
        )
    return area_under_curve(correct.T.astype(np.float64), radii.tolist())


def _errors(correct: Correct) -> Float64[np.ndarray, "kinds n"]:
    """Count each sample's errors over the severities of each kind."""
    return np.asarray((~correct).sum(axis=1, dtype=np.float64))


def _ratio(errors: Float64[np.ndarray, "kinds n"], baseline: Float[np.ndarray, "kinds"]) -> Column:
    """Return the mean over kinds of errors in units of the baseline's."""
    unit = np.where(baseline > 0, baseline, np.nan)
    return np.asarray((errors / unit[:, None]).mean(axis=0))


def _check_baseline(correct: Correct, baseline: Rates) -> None:
    if baseline.shape != correct.shape[:2]:
        raise InputError(
            "baseline",
            expected=f"{correct.shape[0]} kinds at {correct.shape[1]} severities",
            got=f"shape {baseline.shape}",
            fix="measure the baseline under the same corruptions",
        )
