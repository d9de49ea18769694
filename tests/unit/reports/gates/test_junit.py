"""JUnit XML, read again with the parser of the standard library."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from ectool.reports.gates.content import GateLine, GateReport
from ectool.reports.gates.junit import to_junit

BOUNDS = ("accuracy >= 90 %", "nll <= 1")
PASSED = GateLine(BOUNDS[0], "one & <two>", "95 %", is_passed=True)
MISSED = GateLine(BOUNDS[1], "one & <two>", '1.5 "more"', is_passed=False)


def suite_of(*gates, **failures):
    root = ET.fromstring(to_junit(GateReport("ectool evaluate", gates, {}, failures), BOUNDS))
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors")}
    assert counts == {name: int(root.get(name)) for name in counts}
    assert counts == {
        "tests": len(suite.findall("testcase")),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
    }
    return suite


def test_a_gate_is_a_test_case():
    passed, missed = suite_of(PASSED, MISSED)
    assert passed.attrib == {
        "classname": "ectool evaluate.one & <two>",
        "name": "accuracy >= 90 %",
        "time": "0",
    }
    assert passed.find("failure") is None
    assert passed.findtext("system-out") == "95 %"
    failure = missed.find("failure")
    assert failure.get("message") == failure.text == 'expected nll <= 1, found 1.5 "more"'


def test_a_model_that_failed_has_an_error_for_each_gate():
    suite = suite_of(PASSED, MISSED, bad="no file")
    cases = suite.findall("testcase")[2:]
    assert [(case.get("classname"), case.get("name")) for case in cases] == [
        ("ectool evaluate.bad", bound) for bound in BOUNDS
    ]
    assert all(case.find("error").get("message") == "no file" for case in cases)


def test_characters_that_xml_cannot_hold_are_replaced():
    (case,) = suite_of(GateLine("a", "\x00\x1b[1m\ud800\uffff\U0001f600", "\x07", is_passed=False))
    assert case.get("classname") == "ectool evaluate.��[1m��\U0001f600"
    assert case.find("failure").text == "expected a, found �"


def test_the_same_gates_are_the_same_bytes():
    report = GateReport("ectool evaluate", (PASSED, MISSED), {}, {})
    assert to_junit(report, BOUNDS) == to_junit(report, BOUNDS)
    assert to_junit(report, BOUNDS).startswith(b"<?xml version='1.0' encoding='utf-8'?>\n")
