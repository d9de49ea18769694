"""`weights` of training samples from their explanation consistency, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

import numpy as np
from jaxtyping import Float, Float32

from ectool.api.options import WeightOptions, configured, named_as_arguments
from ectool.config import ScoreConfig
from ectool.errors import InputError
from ectool.scores.weights import sample_weights

if TYPE_CHECKING:
    from torch import Tensor

    from ectool.api.results import Consistency

    Values: TypeAlias = Consistency | np.ndarray[Any, Any] | Tensor | Sequence[float]


@named_as_arguments
def weights(
    consistency: Values,
    *,
    previous: np.ndarray[Any, Any] | Tensor | None = None,
    **options: Unpack[WeightOptions],
) -> Float32[np.ndarray, "n"]:
    """Return weights of mean 1: ``(1 - E)**gamma``, scaled, capped, and flattened if too unequal.

    Args:
        consistency: Result of :func:`ectool.consistency`, or E of each sample in [0, 1]; NaN where
            it is undefined, which gives the weight 1 before scaling.
        previous: Weights of the last round for the same samples, for ``momentum``.
        options: ``gamma``, ``momentum``, ``cap`` and ``floor``, as of `ectool score`.

    Returns:
        A weight for each sample, in the same order.

    Raises:
        InputError: A value is no number in [0, 1], or `previous` does not fit.
        UsageError: An option is out of bounds.
    """
    config = configured(ScoreConfig, "score", options, WeightOptions)
    values = _values(getattr(consistency, "explanation_consistency", consistency), "consistency")
    outside = (values < 0) | (values > 1)
    if outside.any():
        raise InputError(
            "consistency",
            expected="explanation consistency in [0, 1], or NaN where it is undefined",
            got=f"{values[outside][0]:g}",
            fix="give the result of ectool.consistency",
        )
    last = None if previous is None else _values(previous, "previous")
    if last is not None and last.shape != values.shape:
        raise InputError(
            "previous",
            expected=f"{len(values)} weights, one per sample",
            got=str(len(last)),
            fix="give the weights of the same samples in the same order",
        )
    found = sample_weights(
        values,
        gamma=config.gamma,
        cap=config.cap,
        floor=config.floor,
        previous=last,
        momentum=config.momentum,
    )
    return found.weight


def _values(values: Any, name: str) -> Float[np.ndarray, "n"]:  # noqa: ANN401 (of callers)
    """Return numbers of a caller as an array.

    Raises:
        InputError: They are no numbers, or not one per sample.
    """
    host = values.detach().cpu() if hasattr(values, "detach") else values
    array = np.asarray(host)
    if array.ndim != 1 or array.dtype.kind not in "fiub":
        raise InputError(
            name,
            expected="one number per sample",
            got=f"{array.dtype} of shape {array.shape}",
            fix="give an array of floats",
        )
    return array if array.dtype.kind == "f" else array.astype(np.float64)
