"""Similarity and stability of multi-label samples: one value for each explained label.

``targets`` contains the explained labels of each sample, filled up with -1. A filling gets NaN and
is not computed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32, Int64

from ectool.errors import InputError
from ectool.scores.blocks import blockwise
from ectool.scores.similarity import Similarity
from ectool.scores.stability import TEMPERATURE

Maps = Float[np.ndarray, "n k h w"]
Logits = Float[np.ndarray, "n c"]
Targets = Int64[np.ndarray, "n k"]
LabelScores = Float32[np.ndarray, "n k"]
LabelStability = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def label_similarity(
    similarity: Similarity, clean: Maps, adversarial: Maps, targets: Targets
) -> LabelScores:
    """Compare each explained label's clean heatmap with its adversarial one.

    Args:
        similarity: One of ``similarity.SIMILARITIES``.
        clean: Heatmaps of the clean samples, one for each target.
        adversarial: Heatmaps of the perturbed samples, in the same order.
        targets: Explained labels.

    Returns:
        Similarity in [0, 1]; NaN where it is undefined.
    """
    return _of_pairs(similarity, targets, clean, adversarial)


def label_probability(adversarial: Logits, targets: Targets) -> LabelScores:
    """Return each label's probability for the perturbed sample, ``sigmoid(adversarial)[target]``.

    Args:
        adversarial: Logits of the perturbed samples.
        targets: Explained labels.

    Returns:
        Probabilities in [0, 1].

    Raises:
        InputError: If a target is not a column of the logits.
    """
    return _of_pairs(_sigmoid, targets, _chosen(adversarial, targets))


def label_softened(adversarial: Logits, targets: Targets) -> LabelScores:
    """Return each label's probability at temperature 2, ``sigmoid(adversarial[target] / 2)``.

    Args:
        adversarial: Logits of the perturbed samples.
        targets: Explained labels.

    Returns:
        Probabilities in [0, 1].

    Raises:
        InputError: If a target is not a column of the logits.
    """
    return label_probability(adversarial / TEMPERATURE, targets)


def label_correct(clean: Logits, adversarial: Logits, targets: Targets) -> LabelScores:
    """Return 1 where a label is predicted for both clean and perturbed sample (logit > 0), else 0.

    Args:
        clean: Logits of the clean samples.
        adversarial: Logits of the perturbed samples.
        targets: Explained labels; all of them are present.

    Returns:
        0 or 1; NaN where either logit is NaN.

    Raises:
        InputError: If a target is not a column of the logits.
    """
    return _of_pairs(
        _both_predicted, targets, _chosen(clean, targets), _chosen(adversarial, targets)
    )


def label_total_variation(clean: Logits, adversarial: Logits, targets: Targets) -> LabelScores:
    """Return 1 minus the total variation distance of each label's two Bernoulli distributions.

    ``1 - |sigmoid(clean)[target] - sigmoid(adversarial)[target]|``.

    Args:
        clean: Logits of the clean samples.
        adversarial: Logits of the perturbed samples.
        targets: Explained labels.

    Returns:
        1 for equal probabilities, 0 for the probabilities 0 and 1.

    Raises:
        InputError: If a target is not a column of the logits.
    """
    return _of_pairs(
        lambda a, b: 1 - np.abs(_sigmoid(a) - _sigmoid(b)),
        targets,
        _chosen(clean, targets),
        _chosen(adversarial, targets),
    )


def label_none(targets: Targets) -> LabelScores:
    """Return 1 for every label: explanation consistency is the similarity of the heatmaps.

    Args:
        targets: Explained labels.

    Returns:
        Ones.
    """
    return np.where(targets >= 0, 1, np.nan).astype(np.float32)


LABEL_STABILITIES: dict[str, LabelStability] = {
    "probability": lambda _, adversarial, targets: label_probability(adversarial, targets),
    "softened": lambda _, adversarial, targets: label_softened(adversarial, targets),
    "correct": label_correct,
    "total-variation": label_total_variation,
    "none": lambda _clean, _adversarial, targets: label_none(targets),
}


def average_over_labels(scores: LabelScores) -> Float32[np.ndarray, "n"]:
    """Average each sample's defined values.

    Args:
        scores: One value for each explained label; NaN for fillings and where it is undefined.

    Returns:
        Means; NaN for a sample without a defined value.
    """
    defined = ~np.isnan(scores)
    total = np.where(defined, scores, 0).sum(axis=1, dtype=np.float64)
    means = np.full(len(scores), np.nan, dtype=np.float32)
    np.divide(total, defined.sum(axis=1), out=means, where=defined.any(axis=1), casting="same_kind")
    return means


def _of_pairs(
    function: Callable[..., np.ndarray], targets: np.ndarray, *arrays: np.ndarray
) -> np.ndarray:
    """Apply a function to the pairs of sample and target, without fillings, in bounded memory."""

    def score(*parts: np.ndarray) -> np.ndarray:
        *values, is_pair = parts
        scores = np.full(len(is_pair), np.nan)
        scores[is_pair] = function(*(value[is_pair] for value in values))
        return scores

    flat = [array.reshape(targets.size, *array.shape[2:]) for array in arrays]
    return blockwise(score, *flat, targets.ravel() >= 0).reshape(targets.shape)


def _chosen(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the logit of every target, and an arbitrary one for a filling."""
    classes = logits.shape[1]
    outside = (targets < -1) | (targets >= classes)
    if outside.any():
        raise InputError(
            "targets",
            expected=f"classes 0 to {classes - 1}, or -1 as filling",
            got=f"{targets[outside][0]}",
            fix="score with the targets the heatmaps were made for",
        )
    chosen: np.ndarray = np.take_along_axis(logits, targets.clip(min=0), axis=1)
    return chosen


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return probabilities in float64; no logit causes an overflow."""
    wide = logits.astype(np.float64)
    power = np.exp(-np.abs(wide))
    probabilities: np.ndarray = np.where(wide >= 0, 1, power) / (1 + power)
    return probabilities


def _both_predicted(clean: np.ndarray, adversarial: np.ndarray) -> np.ndarray:
    unknown = np.isnan(clean) | np.isnan(adversarial)
    return np.where(unknown, np.nan, (clean > 0) & (adversarial > 0))
