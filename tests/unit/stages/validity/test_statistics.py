"""Correlations over checkpoints against scipy, checkpoint by checkpoint."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from ectool.config import StudyConfig
from ectool.stages.validity.statistics import Statistics, clean_loss, interval, score_of
from ectool.stages.validity.tables import Table
from ectool.stages.validity.versions import Candidate

VERSIONS = ("fill/gradcam/0.5", "fill/gradcam/0.7")
CANDIDATE = Candidate.parse("fill/gradcam/mean|pearson|probability", "chosen")


def table(seed, noise):
    rng = np.random.default_rng(seed)
    truth = rng.random(60)
    columns = {"truth": truth, "correct": rng.random(60) < 0.7}
    columns["clean|stability|probability"] = np.clip(1 - truth + 0.4 * rng.normal(size=60), 0.01, 1)
    columns["loss"] = -np.log(columns["clean|stability|probability"])
    for version in VERSIONS:
        for part in ("similarity|pearson", "stability|probability"):
            columns[f"{version}|{part}"] = np.clip(1 - truth + noise * rng.normal(size=60), 0, 1)
    columns = {name: np.asarray(values, np.float32) for name, values in columns.items()}
    record = {"data": "digits", "rho": 0.5, "seed": seed, "epoch": 1, "gap": float(noise)}
    return Table(record, np.arange(60) // 3, columns)


@pytest.fixture
def config():
    return StudyConfig(levels=(0.5, 0.7), resamples=100)


@pytest.fixture
def tables():
    return [table(seed, noise) for seed, noise in enumerate((0.1, 0.3, 0.6))]


def test_a_score_is_the_product_of_the_means_over_the_levels(tables, config):
    found = score_of(tables[0], CANDIDATE, config)
    similarity, stability = (
        np.mean([tables[0].columns[f"{version}|{part}"] for version in VERSIONS], axis=0)
        for part in ("similarity|pearson", "stability|probability")
    )
    np.testing.assert_allclose(found, similarity * stability, rtol=1e-6)


def test_correlations_are_means_of_scipys(tables, config):
    found = Statistics(tables, config).point(CANDIDATE)
    each, correct, means = [], [], []
    for one in tables:
        score, truth = 1 - score_of(one, CANDIDATE, config), one.columns["truth"]
        rows = one.columns["correct"] > 0
        each.append(spearmanr(score, truth).statistic)
        correct.append(spearmanr(score[rows], truth[rows]).statistic)
        means.append(score.mean())
    assert found["spearman"] == pytest.approx(np.mean(each))
    assert found["correct"] == pytest.approx(np.mean(correct))
    gaps = [0.1, 0.3, 0.6]
    assert found["models"] == pytest.approx(spearmanr(means, gaps).statistic)
    clean = [one.columns["clean|stability|probability"].mean() for one in tables]
    ratios = [1 - (1 - mean) / p for mean, p in zip(means, clean, strict=True)]
    assert found["relative"] == pytest.approx(spearmanr(ratios, gaps).statistic)


def test_the_loss_says_nothing_beyond_itself(tables, config):
    statistics = Statistics(tables, config)
    assert abs(statistics.point(clean_loss())["partial"]) < 0.05
    assert statistics.point(CANDIDATE)["partial"] > 0.3


def test_intervals_hold_the_value_and_whole_objects_are_drawn(tables, config):
    statistics = Statistics(tables, config)
    point, drawn = statistics.point(CANDIDATE), statistics.resampled(CANDIDATE)
    for name in ("spearman", "partial", "correct"):
        estimate = interval(point[name], drawn[name], 3)
        assert estimate.low < point[name] < estimate.high
    again = Statistics(tables, config).resampled(CANDIDATE)
    np.testing.assert_array_equal(drawn["spearman"], again["spearman"])
    alone = [Table(one.record, np.zeros(60, np.int64), one.columns) for one in tables]
    assert np.ptp(Statistics(alone, config).resampled(CANDIDATE)["spearman"]) < 1e-12
