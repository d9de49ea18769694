"""Areas under and over curves, one for each sample: AUC, AOPC and the mean over points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

Curves = Float64[np.ndarray, "n points"]
Column = Float64[np.ndarray, "n"]


def area_under_curve(curves: Curves, positions: Sequence[float] | None = None) -> Column:
    """Return the area under each curve over its width, by trapezoids.

    ``sum_k (x_{k+1} - x_k) (y_k + y_{k+1}) / 2 / (x_last - x_first)``.

    Args:
        curves: Values at each point.
        positions: Ascending positions of the points; evenly spaced unless given.

    Returns:
        Areas, between the smallest and the largest value of each curve.
    """
    given = range(curves.shape[1]) if positions is None else positions
    x = np.asarray(given, np.float64)
    areas = np.trapezoid(curves, x, axis=1)
    return np.asarray(areas / np.diff(x).sum())


def area_over_curve(curves: Curves) -> Column:
    """Return the mean drop of each curve below its first point.

    ``mean_k y_0 - y_k`` over all points k: AOPC (Samek et al. 2017, eq. 12).

    Args:
        curves: Values at each point.

    Returns:
        Mean drops; negative where the curve rises.
    """
    drops: Column = (curves[:, :1] - curves).mean(axis=1)
    return drops


def mean_of_curve(curves: Curves) -> Column:
    """Return the mean over the points of each curve.

    Args:
        curves: Values at each point.

    Returns:
        Means.
    """
    means: Column = curves.mean(axis=1)
    return means
