"""Further similarities and stabilities that the study of validity compares with those of `score`.

Each maps a sample to a number from 0 to 1, 1 for no change, as those of `similarity` and
`stability` do. The study ranks samples, so only their order matters.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int64

from ectool.scores.similarity import SIMILARITIES, cosine, pearson
from ectool.scores.stability import probability, softened, softmax, total_variation

Maps = Float[np.ndarray, "n h w"]
Logits = Float[np.ndarray, "n c"]
Labels = Int64[np.ndarray, "n"]
Scores = Float[np.ndarray, "n"]


def rank_correlation(clean: Maps, other: Maps) -> Scores:
    """Return Spearman's correlation of two heatmaps over their pixels, negatives clipped to 0.

    Equal pixels of a map have no common rank, but ranks in the order of the pixels.
    """
    return pearson(_ranked(clean), _ranked(other))


def scaled_cosine(clean: Maps, other: Maps) -> Scores:
    """Return the cosine of two heatmaps after each is scaled to [0, 1] (min-max)."""
    return cosine(_scaled(clean), _scaled(other))


def margin(logits: Logits, labels: Labels) -> Scores:
    """Return ``1 / (1 + exp(max_{j != y} z_j - z_y))``, which orders samples by their margin."""
    own = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0].astype(np.float64)
    others = logits.astype(np.float64)
    np.put_along_axis(others, labels[:, None], -np.inf, axis=1)
    scores: Float64[np.ndarray, "n"] = 1 / (1 + np.exp(np.clip(others.max(1) - own, -700, 700)))
    return scores


def small_drop(clean: Logits, other: Logits, labels: Labels) -> Scores:
    """Return ``1 - max(0, p_y(clean) - p_y(other))``: the fall of the true label's probability."""
    fall = probability(clean, labels) - probability(other, labels)
    return np.asarray(1 - np.maximum(fall, 0))


def jensen_shannon(clean: Logits, other: Logits) -> Scores:
    """Return 1 minus the Jensen-Shannon divergence of both predictions, in bits."""
    p, q = softmax(clean), softmax(other)
    mean = (p + q) / 2
    bits = 0.5 * sum((a * np.log2(np.maximum(a, 1e-300) / mean)).sum(axis=1) for a in (p, q))
    return np.asarray(np.clip(1 - bits, 0, 1))


def similarities(clean: Maps, other: Maps, predicted: Maps) -> dict[str, Scores]:
    """Return every similarity of the heatmaps of an image before and after a change.

    Args:
        clean: Signed maps of the true class before.
        other: Signed maps of the true class after.
        predicted: Signed maps of the class that is predicted after.

    Returns:
        By name, one score per sample; 0 where the similarity is undefined, as no evidence is left.
    """
    positive, after, now = (np.maximum(maps, 0) for maps in (clean, other, predicted))
    found = {name: compute(positive, after) for name, compute in SIMILARITIES.items()}
    found["rank"] = rank_correlation(clean, other)
    found["scaled-cosine"] = scaled_cosine(positive, after)
    found["signed-cosine"], found["signed-pearson"] = cosine(clean, other), pearson(clean, other)
    found["predicted-cosine"] = cosine(positive, now)
    found["predicted-pearson"] = pearson(positive, now)
    return {name: np.nan_to_num(scores) for name, scores in found.items()}


def stabilities(clean: Logits, other: Logits, labels: Labels) -> dict[str, Scores]:
    """Return every stability of the predictions before and after a change, by name."""
    return {
        "probability": probability(other, labels),
        "softened": softened(other, labels),
        "margin": margin(other, labels),
        "drop": small_drop(clean, other, labels),
        "total-variation": total_variation(clean, other),
        "jensen-shannon": jensen_shannon(clean, other),
    }


def map_scores(maps: Maps) -> dict[str, Scores]:
    """Return scores of single heatmaps: what the evidence for a class amounts to.

    Args:
        maps: Signed maps of one class.

    Returns:
        ``evidence``, the mean of the positive part; ``peak``, its maximum; ``focus``, 1 minus its
        entropy over the pixels, relative to that of an even map.
    """
    positive = np.maximum(maps.reshape(len(maps), -1), 0).astype(np.float64)
    total = positive.sum(axis=1, keepdims=True)
    shares = np.divide(positive, total, out=np.zeros_like(positive), where=total > 0)
    entropy = -(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=1)
    return {
        "evidence": positive.mean(axis=1),
        "peak": positive.max(axis=1),
        "focus": 1 - entropy / np.log(positive.shape[1]),
    }


def _ranked(maps: Maps) -> Maps:
    rows = maps.reshape(len(maps), -1)
    ranks = rows.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    return ranks.astype(np.float32).reshape(maps.shape)


def _scaled(maps: Maps) -> Maps:
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    scaled: Maps = (maps - low) / np.where(high > low, high - low, 1)
    return scaled
