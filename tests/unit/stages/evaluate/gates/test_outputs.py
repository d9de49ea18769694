from __future__ import annotations

import os
import threading
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ectool.config import GateOptions
from ectool.reports.gates.content import GateReport
from ectool.stages.evaluate.gates.check import Gate
from ectool.stages.evaluate.gates.outputs import document_of, lines_of, write_reports
from ectool.stages.evaluate.gates.parse import parse_bound
from ectool.types import Estimate

BOUNDS = [parse_bound("accuracy>=10"), parse_bound("nll<=1")]
GATES = [
    Gate("a", BOUNDS[0], Estimate(0.5, 0.4, 0.6, 9), None, None, None),
    Gate("a", BOUNDS[1], Estimate(1.5, 1.0, 2.0, 9), None, None, "1.5"),
]


@pytest.fixture
def report():
    return GateReport("ectool evaluate", lines_of(GATES), {})


def test_lines_and_documents_hold_every_gate():
    assert [(line.is_passed, line.found) for line in lines_of(GATES)] == [
        (True, "50 % [40, 60]"),
        (False, "1.5 [1, 2]"),
    ]
    document = document_of(GATES)
    assert document["passed"] is False
    assert [gate["passed"] for gate in document["gates"]] == [True, False]
    assert document_of(GATES[:1])["passed"] is True
    assert document_of([]) == {"passed": True, "gates": []}


def test_files_are_written_again(report, tmp_path):
    config = GateOptions(require="nll<=1", md=tmp_path / "new/a.md", junit=tmp_path / "new/a.xml")
    for _ in range(2):
        assert write_reports(config, report, BOUNDS) is None
    assert "1 of 2 gates missed" in config.md.read_text()
    assert len(ET.parse(config.junit).findall("testsuite/testcase")) == 2


def test_markdown_for_stdout_is_returned(report, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "gates missed" in write_reports(GateOptions(md=Path("-")), report, BOUNDS)
    assert write_reports(GateOptions(), report, BOUNDS) is None
    assert list(tmp_path.iterdir()) == []


def test_pipes_are_written_into(report, tmp_path):
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    write_reports(GateOptions(md=pipe), report, BOUNDS)
    reader.join()
    assert "gates missed" in found[0]
    assert pipe.is_fifo()
