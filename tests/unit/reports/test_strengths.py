from __future__ import annotations

import math

import pytest
from metric_conditions import metric_of

from ectool.reports.content import Metric
from ectool.reports.strengths import UnderAttack, families, strength_panels, weakest

ROBUST = {"accuracy@original": 0.9, "robust@2/255": 0.5, "robust@8/255": 0.1}


def test_families_are_sorted_by_strength_and_begin_with_the_clean_metric(
    make_report, make_evaluation
):
    one = make_evaluation(values={**ROBUST, "background_gap": 0.1})
    found = families(make_report(one))
    (members,) = found.values()
    assert list(members.values()) == list(ROBUST)
    assert list(members) == pytest.approx([0, 2 / 255, 8 / 255])


def test_one_strength_is_no_curve(make_report, make_evaluation):
    assert families(make_report(make_evaluation(values={"robust@2/255": 0.5}))) == {}


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("robust_apgd-ce@8/255", "accuracy@original"),
        ("robust@l2-0.5", "accuracy@original"),
        ("robust_background_map11@2/255", "map11@original"),
        ("robust_map@2/255", "map@original"),
        ("map@replaced-0.25", "map@original"),
    ],
)
def test_what_a_family_is_at_strength_0(make_report, make_evaluation, name, clean):
    metrics = {key: metric_of(key, key, "", True) for key in (name, clean)}
    report = make_report(make_evaluation(values={}))
    (found,) = families(type(report)(**{**vars(report), "metrics": metrics})).values()
    assert found[0.0] == clean


def test_radii_of_half_a_grey_level(make_report, make_evaluation):
    metrics = {name: metric_of(name, name, "", True) for name in ("robust@2/255", "robust@0.5/255")}
    report = make_report(make_evaluation(values={}))
    (found,) = families(type(report)(**{**vars(report), "metrics": metrics})).values()
    assert list(found.items()) == [
        (0.5 / 255, "robust@0.5/255"),
        (2 / 255, "robust@2/255"),
    ]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["robust@8/255", "robust@0.5/255", "robust@2/255"], "robust@0.5/255"),
        (["robust@l2-0.5", "robust@8/255"], "robust@8/255"),
        (["robust@l2-0.5", "robust@l2-0.25"], "robust@l2-0.25"),
        (["robust_map@2/255", "ece"], None),
    ],
)
def test_the_weakest_attack_comes_first(names, found):
    metrics = {name: metric_of(name, name, "", True) for name in names}
    assert weakest(UnderAttack("pgd"), metrics) == found


def test_a_name_without_strength_stands_for_itself():
    metric = Metric("", "", True)
    assert weakest("ece", {"nll": metric, "ece": metric}) == "ece"
    assert weakest("ece", {"nll": metric, "ece@original": metric}) is None


def line(curve, value, **keys):
    return {"curve": curve, **keys, "value": value, "low": None, "high": None, "n": 9}


def test_tables_tell_of_attacks_and_corruptions(make_report, make_evaluation):
    rows = [
        line("robustness", 0.9, attack="pgd", norm="linf", eps=0.0),
        line("robustness", 0.5, attack="pgd", norm="linf", eps=2 / 255),
        line("robustness", 0.4, attack="pgd", norm="l2", eps=0.5),
        line("corruption", 0.3, corruption="gaussian_noise", severity=1),
    ]
    report = make_report(make_evaluation("a", ROBUST, curves=rows), make_evaluation("b"))
    found = strength_panels(report)
    assert list(found) == ["robustness", "corruptions"]
    linf, l2 = found["robustness"]
    assert (linf.title, linf.x_label) == ("PGD, L∞", "eps, 1/255")
    assert (l2.title, l2.x_label) == ("PGD, L2", "eps")
    (noise,) = found["corruptions"]
    assert (noise.title, noise.x_label) == ("gaussian noise", "severity")
    assert list(linf.curves) == ["a"]
    positions, values = linf.curves["a"]
    assert positions == pytest.approx([0, 2])
    assert [value.value for value in values] == [0.9, 0.5]


def test_without_a_table_metrics_tell_of_attacks(make_report, make_evaluation):
    models = [make_evaluation("a", ROBUST), make_evaluation("b")]
    (panel,) = strength_panels(make_report(*models))["robustness"]
    assert (panel.title, panel.x_label) == ("robust accuracy, L∞", "eps, 1/255")
    assert panel.curves["a"][0] == pytest.approx([0, 2, 8])
    assert [v.value for v in panel.curves["a"][1]] == list(ROBUST.values())
    assert math.isnan(panel.curves["b"][1][1].value)
