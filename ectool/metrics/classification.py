"""Right or wrong, sample by sample."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Integer

from ectool.errors import InputError


def is_correct(
    logits: Float[np.ndarray, "n c"], labels: Integer[np.ndarray, "n"]
) -> Bool[np.ndarray, "n"]:
    """Tell for every sample whether its highest logit is that of its label.

    Of several equal highest logits the first counts. A row that holds a NaN is wrong.

    Args:
        logits: Scores of every class; any monotone function of them gives the same answer.
        labels: True classes, 0 to c - 1.

    Returns:
        True where the prediction is right.

    Raises:
        InputError: A label lies outside the classes.
    """
    _check_labels(labels, logits.shape[1])
    undefined = np.isnan(logits).any(axis=1)
    return np.asarray((logits.argmax(axis=1) == labels) & ~undefined)


def accuracy(logits: Float[np.ndarray, "n c"], labels: Integer[np.ndarray, "n"]) -> float:
    """Return the share of samples whose highest logit is that of their label.

    Args:
        logits: Scores of every class.
        labels: True classes, 0 to c - 1.

    Returns:
        Accuracy, 0 to 1; NaN where there are no samples.

    Raises:
        InputError: A label lies outside the classes.
    """
    if len(labels) == 0:
        return float("nan")
    return float(is_correct(logits, labels).mean())


def _check_labels(labels: Integer[np.ndarray, "n"], classes: int) -> None:
    outside = labels[(labels < 0) | (labels >= classes)]
    if outside.size:
        raise InputError(
            "labels",
            expected=f"classes 0 to {classes - 1}, one per column of the logits",
            got=str(outside[0]),
            fix="evaluate the model on the data set it was made for",
        )
