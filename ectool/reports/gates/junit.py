"""Gates as JUnit XML: a test case for each gate and model."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from ectool.reports.gates.content import GateLine, GateReport

INVALID = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def to_junit(report: GateReport, bounds: tuple[str, ...]) -> bytes:
    """Return a document of one test suite, in the form that Jenkins, GitLab and others read.

    A gate is a test case; a missed one has a failure. A model that could not be evaluated has an
    error in place of each of its gates.

    Args:
        report: The gates.
        bounds: Every bound as text, for models that failed.
    """
    errors = [(model, bound) for model in report.failures for bound in bounds]
    counts = {
        "tests": str(len(report.gates) + len(errors)),
        "failures": str(report.missed),
        "errors": str(len(errors)),
    }
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": report.title, **counts, "time": "0"})
    for gate in report.gates:
        case = _case(suite, report.title, gate.model, gate.bound)
        _describe(case, gate)
    for model, bound in errors:
        text = _clean(report.failures[model])
        case = _case(suite, report.title, model, bound)
        ET.SubElement(case, "error", {"message": text, "type": "model failed"}).text = text
    ET.indent(root)
    found: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return found + b"\n"


def _case(suite: ET.Element, title: str, model: str, bound: str) -> ET.Element:
    """Add a test case; its class is command and model, its name the bound."""
    place = f"{title}.{model}" if model else title
    named = {"classname": _clean(place), "name": _clean(bound), "time": "0"}
    return ET.SubElement(suite, "testcase", named)


def _describe(case: ET.Element, gate: GateLine) -> None:
    """Add what was found: as a failure if the gate is missed, else as output."""
    if gate.is_passed:
        ET.SubElement(case, "system-out").text = _clean(gate.found)
        return
    text = _clean(f"expected {gate.bound}, found {gate.found}")
    ET.SubElement(case, "failure", {"message": text, "type": "gate missed"}).text = text


def _clean(text: str) -> str:
    return INVALID.sub(REPLACEMENT, text)
