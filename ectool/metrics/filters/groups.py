"""Groups of filters with similar maps, and how much of the similarity lies inside the groups.

Shen et al., Interpretable Compositional Convolutional Neural Networks, IJCAI 2021,
https://arxiv.org/abs/2107.04474, section 3.
"""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Float, Float64, Int64, Integer

TINY = 1e-10
"""Products of deviations up to this count as zero."""
IMAGES_AT_ONCE = 64

Pairs = Float64[np.ndarray, "c c"]


def filter_covariance(maps: Float[np.ndarray, "n c h w"]) -> Pairs:
    """Return ``E_n[(x_i - mu_i) . (x_j - mu_j)]`` of all pairs of filters.

    Args:
        maps: x_i of each image n, as a vector of cells; ``mu_i = E_n[x_i]`` is a map, too.
    """
    mean = maps.mean(0, dtype=np.float64)
    total: Pairs = np.zeros((maps.shape[1], maps.shape[1]))
    for start in range(0, len(maps), IMAGES_AT_ONCE):
        centred = maps[start : start + IMAGES_AT_ONCE] - mean
        rows = centred.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1)
        total += rows @ rows.T
    return total / len(maps)


def filter_similarity(covariance: Pairs) -> Pairs:
    """Return ``s_ij = rho_ij + 1``, the correlation of maps plus 1.

    Args:
        covariance: See `filter_covariance`.

    Returns:
        Values in [0, 2]; a filter with constant maps has correlation 0 with all others.
    """
    deviation = np.sqrt(np.diag(covariance).clip(min=0))
    scale = np.outer(deviation, deviation)
    rho = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > TINY)
    np.fill_diagonal(rho, 1)
    found: Pairs = rho.clip(-1, 1) + 1
    return found


def spectral_groups(similarity: Pairs, count: int, seed: int) -> Int64[np.ndarray, "c"]:
    """Return the group of each filter by spectral clustering (scikit-learn).

    Args:
        similarity: Of each pair, symmetric and at least 0.
        count: Maximum number of groups.
        seed: Seed of the random starts.

    Returns:
        Numbers of groups, from 0.
    """
    from sklearn.cluster import SpectralClustering

    with warnings.catch_warnings():
        # Equal filters, such as dead ones, make fewer distinct points than groups.
        warnings.simplefilter("ignore")
        model = SpectralClustering(count, affinity="precomputed", random_state=seed)
        groups = model.fit_predict((similarity + similarity.T) / 2)
    found: Int64[np.ndarray, "c"] = groups.astype(np.int64)
    return found


def group_purity(similarity: Pairs, groups: Integer[np.ndarray, "c"]) -> float:
    """Return the mean share of the similarity of a group that is inside the group.

    ``mean_k sum_{i, j of k} s_ij / sum_{i of k, j} s_ij``. It is minus the loss of Shen et al.,
    divided by the number of groups.

    Args:
        similarity: See `filter_similarity`.
        groups: Group of each filter.

    Returns:
        A number in [0, 1]; 1 if filters of different groups have opposite maps, and about the mean
        share of the filters in a group if all filters are equally similar.
    """
    shares = [
        similarity[np.ix_(groups == one, groups == one)].sum() / similarity[groups == one].sum()
        for one in np.unique(groups)
    ]
    return float(np.mean(shares))
