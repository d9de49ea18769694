"""The story: which models are compared, by which differences, and with which samples."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from evaluated_models import SIGNIFICANT, experiment_of, report_of

from ectool.reports.content import RoundSamples
from ectool.reports.report import GallerySample
from ectool.reports.story import COUNT, PLACES, Side, best_of, independent_difference, tell
from ectool.types import Estimate

ARMS = ("plain", "weak", "strong")


def experiment_report(seeds: int = 3, **given: object):
    """Return the report of an experiment of three arms, as `ectool report` reads it."""
    names = [f"{arm}, seed {seed}" for arm in ARMS for seed in range(seeds)]
    groups = [arm for arm in ARMS for _ in range(seeds)]
    experiment = replace(experiment_of(ARMS, seeds), **given)
    return report_of(names, groups=groups, experiments=[experiment])


def estimates(**values: float) -> dict[str, Estimate]:
    return {name: Estimate(value, value - 0.1, value + 0.1, 9) for name, value in values.items()}


def test_the_reference_is_compared_with_the_arm_of_the_best_mean_rank():
    report = experiment_report()
    story = tell(report)
    assert story.sides[0].name == "plain"
    assert story.rivals == 2
    arms = {arm.name: arm.results for arm in report.experiments[0].arms}
    ranks = {"weak": 0, "strong": 0}
    for headline in story.headlines:
        name = next(n for n, m in report.metrics.items() if m is headline.metric)
        order = sorted(
            ranks,
            key=lambda arm: arms[arm][name].interval.value,
            reverse=headline.metric.higher_is_better,
        )
        ranks[order[0]] += 1
    assert story.sides[1].name == max(ranks, key=ranks.__getitem__)
    assert story.sides[1].model == f"{story.sides[1].name}, seed 0"


def test_five_headlines_come_in_a_fixed_order_whatever_is_significant():
    story = tell(experiment_report())
    labels = [one.metric.label for one in story.headlines]
    assert labels[:4] == [
        "accuracy, original",
        "background gap",
        "robust accuracy, 2/255",
        "explanation consistency",
    ]
    assert len(labels) == 6
    assert len(labels) > COUNT


def test_only_differences_tested_over_seeds_are_marked():
    marked = [one.difference.verdict for one in tell(experiment_report()).headlines]
    assert marked.count("better") == len([n for n in SIGNIFICANT if n != "nll"])
    for report in (experiment_report(seeds=1), report_of(["a", "b"])):
        story = tell(report)
        assert not story.is_tested
        assert [one.difference.verdict for one in story.headlines] == [None] * 6


def test_differences_of_an_experiment_are_those_of_its_table():
    report = experiment_report()
    story = tell(report)
    arm = next(a for a in report.experiments[0].arms if a.name == story.sides[1].name)
    known = {report.metrics[n].label: r.difference for n, r in arm.results.items()}
    assert all(one.difference is known[one.metric.label] for one in story.headlines)


def test_one_seed_has_intervals_over_its_images():
    report = experiment_report(seeds=1)
    story = tell(report)
    first = story.headlines[0]
    entries = {entry.name: entry.evaluation for entry in report.entries}
    expected = [entries[side.model].values["accuracy@original"] for side in story.sides]
    assert list(first.values) == expected
    # As texts: NaN equals nothing, and Python 3.13 compares field by field.
    assert repr(first.difference) == repr(independent_difference(*expected))


def test_interval_of_a_difference_against_simulated_shares():
    n, p, q = 400, 0.8, 0.7
    generator = np.random.default_rng(0)
    half = [1.96 * math.sqrt(share * (1 - share) / n) for share in (p, q)]
    found = independent_difference(
        Estimate(q, q - half[1], q + half[1], n), Estimate(p, p - half[0], p + half[0], n)
    )
    drawn = generator.binomial(n, p, 100_000) / n - generator.binomial(n, q, 100_000) / n
    assert found.value == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.004)


def test_a_difference_of_a_spread_is_a_spread():
    spread = Estimate(0.5, 0.4, 0.6, 9, "spread")
    plain = Estimate(0.5, 0.4, 0.6, 9)
    assert independent_difference(spread, plain).kind == "spread"
    assert independent_difference(plain, plain).kind == "interval"


def test_ties_share_their_ranks_and_lower_is_better_where_it_is(make_report, make_evaluation):
    metrics = make_report(
        make_evaluation("a", {"accuracy@original": 0, "background_gap": 0})
    ).metrics
    same = {"accuracy@original": 0.5, "background_gap": 0.3}
    low = {"accuracy@original": 0.5, "background_gap": 0.1}
    sides = [Side(name, estimates(**v), name) for name, v in (("a", same), ("b", same), ("c", low))]
    assert best_of(sides, metrics).name == "c"
    assert best_of(sides[:2], metrics).name == "a"


def test_models_on_other_data_are_not_compared():
    report = report_of(["a", "b"])
    other = replace(report.entries[1], data="letters")
    story = tell(replace(report, entries=(report.entries[0], other)))
    assert [side.name for side in story.sides] == ["a"]
    assert all(one.difference is None for one in story.headlines)


def test_without_models_there_is_no_story():
    assert tell(report_of([])) is None


class TestStrip:
    @pytest.fixture
    def gallery(self, make_sample):
        """Seven samples in a random order of their consistency in the first model."""
        scores = (0.4, 0.1, 0.7, math.nan, 0.3, 0.9, 0.2)
        return tuple(
            GallerySample(
                {
                    name: make_sample(seed=row, sample_id=str(row), consistency=score)
                    for name, score in (("a", score), ("b", 1 - score))
                }
            )
            for row, score in enumerate(scores)
        )

    def test_samples_are_the_ends_and_the_middle_of_the_reference(self, gallery):
        strip = tell(replace(report_of(["a", "b"]), gallery=gallery)).strip
        found = {place: one.first.sample_id for place, one in strip.samples.items()}
        assert found == dict(zip(PLACES, ("1", "4", "5"), strict=True))
        assert strip.models == {"a": "a", "b": "b"}

    def test_a_sample_is_shown_once(self, gallery):
        strip = tell(replace(report_of(["a", "b"]), gallery=gallery[:2])).strip
        assert [one.first.sample_id for one in strip.samples.values()] == ["1", "0"]
        single = tell(replace(report_of(["a", "b"]), gallery=gallery[:1])).strip
        assert len(single.samples) == 1

    def test_undefined_samples_alone_give_no_strip(self, gallery):
        assert tell(replace(report_of(["a", "b"]), gallery=gallery[3:4])).strip is None

    def test_the_best_model_alone_if_the_reference_has_no_heatmaps(self, gallery):
        only = tuple(GallerySample({"b": one.by_model["b"]}) for one in gallery)
        strip = tell(replace(report_of(["a", "b"]), gallery=only)).strip
        assert strip.models == {"b": "b"}

    def test_training_samples_stand_in_for_a_gallery(self, make_sample):
        samples = tuple(make_sample(seed=n, consistency=n / 9) for n in range(5))
        rounds = RoundSamples("weak", 0, 4, 0, 3, samples)
        strip = tell(experiment_report(round_samples=rounds)).strip
        assert strip.models == {"weak": "weak"}
        assert [one.first for one in strip.samples.values()] == [samples[n] for n in (0, 2, 4)]
