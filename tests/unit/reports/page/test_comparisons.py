from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from ectool.reports.page.comparisons import (
    MAX_GROUPS,
    MIN_IN_BIN,
    faithfulness_curves,
    groups_of,
    orders,
    reliability_diagram,
    strength_curves,
    trade_offs,
)

ROBUST = {"accuracy@original": 0.9, "robust@2/255": 0.5, "robust@8/255": 0.1}
BINS = [
    {"low": 0.0, "high": 0.5, "confidence": 0.4, "accuracy": None, "n": 0},
    {"low": 0.5, "high": 1.0, "confidence": 0.9, "accuracy": 0.7, "n": 50},
]


def texts(svg: str) -> list[str]:
    root = ET.fromstring(svg.replace("<svg", '<svg xmlns:xlink="xlink"', 1))
    return [text.text for text in root.iter("text")]


def colours(svg: str) -> set[str]:
    return set(re.findall(r"var\(--arm-(\d)\)", svg))


def test_models_of_a_group_share_a_style(make_report, make_evaluation):
    models = [make_evaluation(name, ROBUST) for name in ("a 0", "a 1", "b")]
    report = make_report(*models, groups={"a 0": "a", "a 1": "a"})
    (chart,) = strength_curves(report)["robustness"]
    assert chart.count("stroke-width: 0.7") == 2  # the thin lines of the seeds
    assert colours(chart) == {"0", "1"}


def test_charts_show_as_many_groups_as_are_distinguishable(make_report, make_evaluation):
    models = [make_evaluation(str(number)) for number in range(MAX_GROUPS + 5)]
    assert list(groups_of(make_report(*models))) == list(range(MAX_GROUPS))


def test_trade_offs_need_two_models_with_both_metrics(make_report, make_evaluation):
    values = {"accuracy@original": 0.5, "background_gap": 0.1}
    first, second = (make_evaluation(name, values) for name in ("a", "b"))
    half = make_evaluation("c", {"accuracy@original": 0.6})
    (chart,) = trade_offs(make_report(first, half, second))
    assert {"background gap, %", "accuracy, original, %", "1", "3"} <= set(texts(chart))
    assert colours(chart) == {"0", "2"}
    assert list(trade_offs(make_report(first, half))) == []


def test_reliability(make_report, make_evaluation):
    chart = reliability_diagram(make_report(make_evaluation(reliability=BINS)))
    assert "confidence" in texts(chart)
    assert reliability_diagram(make_report(make_evaluation())) is None
    few = [{**row, "n": min(row["n"], MIN_IN_BIN - 1)} for row in BINS]
    assert reliability_diagram(make_report(make_evaluation(reliability=few))) is None


def test_faithfulness_is_drawn_for_each_group(make_report, make_evaluation):
    rows = [
        {"curve": "insertion", "maps": maps, "share": x, "value": x, "low": x, "high": x, "n": 3}
        for maps in ("method", "random")
        for x in (0.0, 0.5, 1.0)
    ]
    models = [make_evaluation("a", faithfulness_curves=rows), make_evaluation("b")]
    report = make_report(*models)
    found = faithfulness_curves(report)
    assert list(found) == ["a"]
    assert orders(report) == ["method", "random"]
    (chart,) = found["a"]
    assert "insertion, %" in texts(chart)
    assert colours(chart) == {"0", "1"}
