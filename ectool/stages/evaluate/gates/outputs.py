"""Outputs of gates: JSON values, Markdown and JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ectool.artifacts import files
from ectool.config.gates import STDOUT, GateOptions
from ectool.metrics.bounds import Bound
from ectool.reports.gates.content import GateLine, GateReport
from ectool.reports.gates.junit import to_junit
from ectool.reports.gates.markdown import to_markdown
from ectool.stages.evaluate.gates.check import Gate
from ectool.writing import write_atomic


def lines_of(gates: Sequence[Gate]) -> tuple[GateLine, ...]:
    """Return the gates for reports."""
    return tuple(
        GateLine(gate.bound.text, gate.model, gate.text, gate.missed is None) for gate in gates
    )


def document_of(gates: Sequence[Gate]) -> dict[str, Any]:
    """Return every gate, and whether all are passed, as JSON values."""
    return {
        "passed": all(gate.missed is None for gate in gates),
        "gates": [gate.entry for gate in gates],
    }


def write_reports(config: GateOptions, report: GateReport, bounds: Sequence[Bound]) -> str | None:
    """Write the files of `--md` and `--junit`.

    Returns:
        The Markdown text, if it belongs on stdout.
    """
    if config.junit is not None:
        _write(config.junit, to_junit(report, tuple(bound.text for bound in bounds)))
    if config.md is None:
        return None
    text = to_markdown(report)
    if config.md == STDOUT:
        return text
    _write(config.md, text.encode())
    return None


def _write(path: Path, data: bytes) -> None:
    """Write a file, or into a pipe or device."""
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    files.make_folder(path.parent)
    write_atomic(path, data)
