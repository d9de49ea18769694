"""The measure of explanation consistency: one place, for `score` and `evaluate`."""

from __future__ import annotations

from typing import get_args

from ectool.config import PerturbConfig, ScoreConfig
from ectool.config.measure import (
    ATTACK,
    EXPLANATION_ATTACK,
    MEANING,
    SIMILARITY,
    STABILITY,
    measure_key,
)
from ectool.stages.evaluate.definitions import describe


def test_score_has_the_same_default():
    fields = ScoreConfig.model_fields
    assert (fields["similarity"].default, fields["stability"].default) == (SIMILARITY, STABILITY)
    choices = {
        *get_args(fields["similarity"].annotation),
        *get_args(fields["stability"].annotation),
    }
    assert choices == set(MEANING)


def test_attacks_are_options_of_perturb():
    for attack in (ATTACK, EXPLANATION_ATTACK):
        config = PerturbConfig(model="m", output="o", **attack)
        assert {name: getattr(config, name) for name in attack} == attack


def test_definitions_name_the_measure():
    assert MEANING[SIMILARITY] in describe("heatmap_similarity").definition
    assert MEANING[STABILITY] in describe("prediction_stability").definition
    assert "product of heatmap similarity and prediction stability" in (
        describe("explanation_consistency").definition
    )


def test_keys_of_earlier_versions_stay():
    assert (SIMILARITY, STABILITY) != ("cosine", "probability") or measure_key() == {}
