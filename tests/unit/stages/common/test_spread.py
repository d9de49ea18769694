"""Findings of scores: the two parts apart, and warnings where E distinguishes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from ectool.stages.common.spread import findings, stability_alone, summary, without_spread

N = 200


def arrays(similarity, stability):
    """Return the arrays of a weights artifact with weights 1 - E of mean 1."""
    consistency = similarity * stability
    lack = 1 - (consistency if consistency.ndim == 1 else consistency.mean(axis=1))
    return {
        "similarity": similarity,
        "stability": stability,
        "explanation_consistency": 1 - lack,
        "weight": lack / lack.mean() if lack.any() else np.ones(len(lack)),
    }


def uniform(low, high, *shape, seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape or (N,)).astype(np.float32)


def told(similarity, stability, misclassified=0):
    found = findings(arrays(similarity, stability), misclassified)
    return sentences(found, len(similarity))


def sentences(found, length):
    return [text for tell in (without_spread, stability_alone) if (text := tell(found, length))]


def test_each_score_has_mean_and_standard_deviation():
    values = arrays(uniform(0.2, 0.9), uniform(0, 1, seed=1))
    found = findings(values, 7)
    for name, array in values.items():
        assert found[f"{name}_mean"] == pytest.approx(array.mean(dtype=float), abs=1e-6)
        assert found[f"{name}_std"] == pytest.approx(array.std(dtype=float), abs=1e-6)
    assert found["consistency_spread"] == pytest.approx(found["weight_std"], abs=1e-6)
    expected = np.corrcoef(values["explanation_consistency"], values["stability"])[0, 1]
    assert found["consistency_stability_correlation"] == pytest.approx(expected, abs=1e-6)
    assert found["misclassified_samples"] == 7
    assert summary(found).startswith(
        f"heatmap similarity {found['similarity_mean']:.4f} ± {found['similarity_std']:.4f}, "
        "prediction stability 0."
    )


def test_scores_that_differ_are_not_warned_about():
    assert told(uniform(0.2, 0.9), uniform(0, 1, seed=1), N) == []
    assert told(uniform(0.2, 0.9), np.ones(N, np.float32)) == []


@pytest.mark.parametrize(
    ("misclassified", "advice"), [(N, "lower --eps"), (180, "lower --eps"), (3, "increase --eps")]
)
def test_constant_weights_are_reported_with_the_direction_of_eps(misclassified, advice):
    (text,) = told(uniform(0.2, 0.9), uniform(0, 0.003), misclassified)
    assert text.startswith("explanation consistency has no spread: the standard deviation of the")
    assert f"{misclassified} of {N} samples are misclassified after the attack; {advice}" in text
    assert text.endswith("or use --eps auto")
    assert len(told(np.ones(N, np.float32), np.ones(N, np.float32))) == 1


def test_a_heatmap_similarity_without_spread_is_reported_with_the_correlation():
    (text,) = told(uniform(0.998, 1), uniform(0, 1, seed=1))
    assert "practically the prediction stability alone (correlation 1.000)" in text
    assert "heatmap similarity is 0.9991 ± 0.0006; another --similarity of `score`" in text


def test_multilabel_scores_count_each_label():
    values = arrays(uniform(0.2, 0.9, N, 3), uniform(0, 1, N, 3, seed=1))
    found = findings(values, 0)
    assert found["similarity_std"] == pytest.approx(values["similarity"].std(), abs=1e-5)
    expected = np.corrcoef(values["explanation_consistency"], values["stability"].mean(axis=1))
    assert found["consistency_stability_correlation"] == pytest.approx(expected[0, 1], abs=1e-5)


def test_undefined_scores_and_earlier_findings_are_not_warned_about():
    undefined = np.full(4, np.nan, np.float32)
    values = arrays(undefined, np.ones(4, np.float32)) | {"weight": np.ones(4, np.float32)}
    found = findings(values, 0)
    assert "similarity_mean" not in found
    assert sentences(found, 4) == []
    assert sentences({"effective_sample_size": 3.0}, 4) == []
