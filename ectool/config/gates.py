"""Options of commands that check metrics against bounds."""

from __future__ import annotations

from pathlib import Path

from pydantic import model_validator

from ectool.errors import UsageError
from ectool.options import Options, TextList, option

STDOUT = Path("-")
"""File name that stands for stdout."""


class GateOptions(Options):
    """Bounds, and where their outcome is written."""

    PANEL = "gates"

    require: TextList = option(
        (),
        "Bounds that metrics must meet, in percent, e.g. 'bg_gap<=10,accuracy.low>=90' or "
        "'accuracy>=baseline-1'.",
        keyed=False,
        main=True,
        metavar="BOUND,...",
    )
    md: Path | None = option(
        None,
        "Markdown file with metrics and bounds, for pull requests; without a file, or with -, on "
        "stdout.",
        keyed=False,
        role="output",
        metavar="[FILE]",
    )
    junit: Path | None = option(
        None,
        "JUnit XML file with a test case for each bound and model, for CI.",
        keyed=False,
        role="output",
        metavar="FILE",
    )

    @model_validator(mode="after")
    def _check_files(self) -> GateOptions:
        """Check the files before anything is computed.

        Raises:
            UsageError: A file is a folder, both are the same, or there are no bounds for JUnit.
        """
        for flag, path in (("--md", self.md), ("--junit", self.junit)):
            if path is not None and path.is_dir():
                raise UsageError(
                    flag, expected="a file", got=f"{path}, a folder", fix="name a file"
                )
        if self.junit is None:
            return self
        if self.junit in (STDOUT, self.md):
            raise UsageError(
                "--junit",
                expected="a file of its own",
                got=str(self.junit),
                fix="name another file",
            )
        if not self.require:
            raise UsageError(
                "--junit",
                expected="bounds, each of which becomes a test case",
                got="none",
                fix="add --require, e.g. --require 'accuracy>=90'",
            )
        return self
