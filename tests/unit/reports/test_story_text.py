"""Sentences of the story: measured numbers, marks only where tested, and why there are none."""

from __future__ import annotations

import re
from dataclasses import replace

from evaluated_models import experiment_of, report_of

from ectool.reports.content import Difference
from ectool.reports.story import tell
from ectool.reports.story_text import note, sentence
from ectool.types import Estimate


def experiment(seeds: int = 3, arms: tuple[str, ...] = ("plain", "ec")):
    names = [f"{arm}, seed {seed}" for arm in arms for seed in range(seeds)]
    groups = [arm for arm in arms for _ in range(seeds)]
    return report_of(names, groups=groups, experiments=[experiment_of(arms, seeds)])


def test_significant_differences_are_named_with_their_direction():
    assert sentence(tell(experiment())) == (
        "Over 3 seeds, ec differs significantly from plain on 2 of 6 headline metrics: "
        "background gap (−2.0 points, better) and robust accuracy, 2/255 (+5.0 points, better); "
        "measured differences on the other 4 can be due to chance."
    )


def test_without_a_significant_difference_the_sentence_says_so():
    story = tell(experiment())
    plain = tuple(replace(one, difference=Difference(0.1, -0.1, 0.3, 3)) for one in story.headlines)
    assert sentence(replace(story, headlines=plain)) == (
        "Over 3 seeds, none of the 6 measured headline differences between ec and plain is "
        "significant."
    )


def test_other_models_differ_without_a_claim():
    story = tell(report_of(["a", "b"]))
    numbers = r"\([+−]\d+\.\d points\)"
    expected = rf"On digits/test, b differs from a in accuracy, original {numbers} and background "
    assert re.fullmatch(expected + rf"gap {numbers}\.", sentence(story))
    assert "significant" not in sentence(story)


def test_a_single_model_is_measured():
    numbers = r"\(\d+\.\d % \[\d+\.\d, \d+\.\d\]\)"
    expected = rf"On digits/test, ectool measures accuracy, original {numbers} and background gap "
    assert re.fullmatch(expected + rf"{numbers} for a\.", sentence(tell(report_of(["a"]))))
    one = sentence(tell(experiment(arms=("plain",))))
    assert one.startswith("Over 3 seeds, ectool measures accuracy, original (")
    assert note(tell(experiment(arms=("plain",)))) == "In brackets: 95 % t intervals over 3 seeds."


def test_the_note_says_why_nothing_is_marked():
    tested, one, models = (
        note(tell(report)) for report in (experiment(), experiment(1), report_of(["a", "b"]))
    )
    assert "corrected over the headline metrics of all arms (paired t test, Holm)" in tested
    assert "Nothing is marked" not in tested
    assert "Nothing is marked: the experiment has one seed, and a test over seeds needs 2" in one
    assert "Nothing is marked: the models have no common seeds" in models
    assert "`ectool compare`" in models


def test_the_note_says_how_the_best_was_chosen_if_there_was_a_choice():
    assert "best mean rank" not in note(tell(experiment()))
    several = note(tell(experiment(arms=("plain", "a", "b", "c"))))
    assert "is the one of 3 with the best mean rank on the headline metrics" in several


def test_spreads_are_named_and_not_called_intervals():
    story = tell(report_of(["a"]))
    assert "spread" not in note(story)
    spread = Estimate(0.5, 0.4, 0.6, 9, "spread")
    first = replace(story.headlines[0], values=(spread,))
    story = replace(story, headlines=(first, *story.headlines[1:]))
    assert note(story).endswith("A spread over resamples is not a confidence interval.")
    assert "accuracy, original (50.0 % spread [40.0, 60.0])" in sentence(story)


def test_nothing_is_claimed_beyond_the_measurement():
    reports = (experiment(), experiment(1), report_of(["a", "b"]), report_of(["a"]))
    text = " ".join(f"{sentence(tell(one))} {note(tell(one))}" for one in reports)
    assert not re.search(r"prove|show that|caus|because|improve|guarantee", text)


def test_no_headline_metric_no_sentence():
    report = report_of(["a"])
    bare = replace(report, metrics={"nll": report.metrics["nll"]})
    assert sentence(tell(bare)) == ""
