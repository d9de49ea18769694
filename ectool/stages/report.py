"""`report`: one page about a whole experiment, its numbers for programs, and a strip of samples."""

from __future__ import annotations

from pathlib import Path

from ectool.artifacts import files
from ectool.config import ReportConfig
from ectool.errors import UsageError
from ectool.reports.content import Arm, Content
from ectool.stages.report_metrics import measured, results_of
from ectool.stages.report_runs import (
    read_experiment,
    read_history,
    read_provenance,
    read_rounds,
)
from ectool.stages.report_samples import read_sheet
from ectool.types import SILENT, Reporter

PAGE_FILE = "report.html"
JSON_FILE = "report.json"
STRIP_FILE = "strip.png"
PAGE_SUFFIXES = (".html", ".htm")


def run(config: ReportConfig, reporter: Reporter = SILENT) -> Path:
    """Write the page, and `report.json` and `strip.png` beside it; return the page's path.

    An earlier report is replaced: it holds nothing that cannot be made again in seconds. There
    is no strip without rounds.

    Raises:
        InputError: The folder holds no finished experiment, or its data are not at hand.
        IntegrityError: A file of the experiment is not what was written.
        UsageError: The output is no HTML file.
    """
    output = config.output or config.experiment / PAGE_FILE
    if output.suffix.lower() not in PAGE_SUFFIXES:
        raise UsageError(
            f"--output {output}",
            expected="a name that ends in " + " or ".join(PAGE_SUFFIXES),
            got=output.suffix or "no suffix",
            fix="change --output",
        )
    _write(read_content(config.experiment, reporter), output)
    return output


def read_content(path: Path, reporter: Reporter = SILENT) -> Content:
    """Read everything that the report of an experiment says.

    Raises:
        InputError: The folder holds no finished experiment, or its data are not at hand.
        IntegrityError: A file of the experiment is not what was written.
    """
    experiment = read_experiment(path)
    metrics = measured(experiment)
    with reporter.task("report", sum(len(run.rounds) for run in experiment.runs)) as advance:
        arms = tuple(
            Arm(
                name=name,
                settings=settings,
                results=results_of(experiment, name, metrics),
                histories={run.seed: read_history(run) for run in experiment.runs_of(name)},
                rounds={
                    run.seed: read_rounds(run, advance)
                    for run in experiment.runs_of(name)
                    if run.rounds
                },
            )
            for name, settings in experiment.record.arms.items()
        )
    return Content(
        **experiment.record.model_dump(exclude={"arms", "runs"}),
        metrics=metrics,
        arms=arms,
        sheet=read_sheet(experiment),
        provenance=read_provenance(experiment),
    )


def _write(content: Content, output: Path) -> None:
    """Write the page last: where it is, the rest is there too."""
    from ectool.reports.document import to_json  # here, as importing matplotlib takes long
    from ectool.reports.html import render
    from ectool.reports.strip import pick, strip

    page, document = render(content), to_json(content)
    output.parent.mkdir(parents=True, exist_ok=True)
    picture = output.with_name(STRIP_FILE)
    files.remove(picture)
    if content.sheet is not None:
        files.write_atomic(picture, strip(pick(content.sheet.samples)))
    files.write_atomic(output.with_name(JSON_FILE), document.encode())
    files.write_atomic(output, page.encode())
