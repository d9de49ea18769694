"""Accuracy under corruptions, and under attacks of increasing radius.

All functions but `error_rates` return one value per sample; the metric is their mean.
`ectool.metrics.means` has its interval, `ectool.metrics.comparison` its paired differences.
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
    """Return the share of misclassified samples for each kind and severity.

    Args:
        correct: Whether each sample is classified correctly under each kind and severity.

    Returns:
        Error rates, 0 to 1; those of one model serve as the baseline of another.
    """
    return np.asarray(1 - correct.mean(axis=2))


def correctness_under_corruption(correct: Correct) -> Column:
    """Return the share of corruptions under which each sample is classified correctly.

    ``mean over kinds and severities of correct``. One minus its mean is the mean corruption error
    without a baseline (not normalised).

    Args:
        correct: Whether each sample is classified correctly under each kind and severity.

    Returns:
        Shares, 0 to 1.
    """
    return np.asarray(correct.mean(axis=(0, 1)))


def corruption_errors(correct: Correct, baseline: Rates) -> Column:
    """Return every sample's part in mCE, the mean corruption error against a baseline.

    ``CE[kind] = sum(errors[kind]) / sum(baseline[kind])``, sums over severities, and
    ``mCE = mean over kinds of CE`` (Hendrycks and Dietterich 2019, section 4.1,
    https://arxiv.org/abs/1903.12261, with AlexNet as baseline). The baseline is treated as exact,
    so the part of a sample is the same formula with its errors of 0 or 1, and mCE is their mean.

    Args:
        correct: Whether each sample is classified correctly under each kind and severity.
        baseline: Error rates of the baseline under the same corruptions, in the same order.

    Returns:
        Parts, at least 0; their mean is 1 for a model with the errors of the baseline. All NaN
        where the baseline has no error under one of the kinds.

    Raises:
        InputError: The baseline has other kinds or severities.
    """
    _check_baseline(correct, baseline)
    return _ratio(_errors(correct), baseline.sum(axis=1))


def relative_corruption_errors(
    correct: Correct, clean: Bool[np.ndarray, "n"], baseline: Rates, baseline_clean: float
) -> Column:
    """Return every sample's part in relative mCE: the errors that corruption adds.

    ``sum(errors[kind] - clean error) / sum(baseline[kind] - baseline_clean)``, sums over
    severities, then the mean over kinds (source as for `corruption_errors`).

    Args:
        correct: Whether each sample is classified correctly under each kind and severity.
        clean: Whether each unchanged sample is classified correctly.
        baseline: Error rates of the baseline under the same corruptions, in the same order.
        baseline_clean: Error rate of the baseline on the unchanged images.

    Returns:
        Parts, of either sign; their mean is 1 where corruption adds as many errors as to the
        baseline. All NaN where a kind adds no errors to the baseline.

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

    ``area_under_curve``, so the mean of the parts is the mean accuracy over radii from the first to
    the last, linear between the measured ones.

    Args:
        correct: Whether each sample is classified correctly at each radius; radius 0 is the clean
            image.
        eps: The radii, ascending, at least two, in any unit.

    Returns:
        Parts, 0 to 1; 1 for a sample that is correct at all radii.

    Raises:
        InputError: The radii do not ascend, are fewer than two, or are not one per row.
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
