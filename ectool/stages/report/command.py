"""`report`: one page about experiments, evaluations and audits, and its numbers for programs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from ectool import writing
from ectool.artifacts import files
from ectool.artifacts.integrity.sealed_documents import FILES, sealed
from ectool.artifacts.jobs import writers
from ectool.config import ReportConfig
from ectool.errors import UsageError
from ectool.input_files import real_path
from ectool.reports.content import Arm, ExperimentResults
from ectool.reports.report import Report
from ectool.stages.report.gallery import read_gallery
from ectool.stages.report.key import (
    KEY,
    NUMBERS,
    is_up_to_date,
    numbers_digest,
    report_key,
)
from ectool.stages.report.metrics import measured, results_of
from ectool.stages.report.provenance import read_provenance
from ectool.stages.report.runs import FinishedExperiment, artifacts_of, read_history, read_rounds
from ectool.stages.report.samples import read_round_samples
from ectool.stages.report.sources import Sources, read_sources
from ectool.types import SILENT, Advance, Outcome, Reporter
from ectool.writing import write_atomic

PAGE_FILE = "report.html"
JSON_FILE = "report.json"
STRIP_FILE = "strip.png"
PAGE_SUFFIXES = (".html", ".htm")


def run(config: ReportConfig, reporter: Reporter = SILENT) -> Outcome:
    """Write the page, and next to it `report.json` and `strip.png`.

    Nothing is written if all files exist and are up to date. Another report is replaced, since it
    can be written again in seconds. Only experiments with rounds have a strip. Figures and tables
    are always written, and the page with them.

    Raises:
        InputError: A folder holds no finished results, or a data set is missing.
        IntegrityError: A file has changed since it was written.
        UsageError: The name of the output is not that of an HTML file.
        BusyOutputError: Another process writes a report into the same folder.
    """
    output = config.output or config.paths[0] / PAGE_FILE
    if output.suffix.lower() not in PAGE_SUFFIXES:
        raise UsageError(
            f"--output {output}",
            expected="a name that ends in " + " or ".join(PAGE_SUFFIXES),
            got=output.suffix or "no suffix",
            fix="change --output",
        )
    sources = read_sources(config.paths)
    key = report_key(sources, config)
    others = output.with_name(JSON_FILE), output.with_name(STRIP_FILE)
    if not (config.figures or config.tables) and is_up_to_date(output, *others, key):
        writers.remove_rest(others[0])
        return Outcome(output, is_new=False)
    with ExitStack() as locks:
        for path in (others[0], config.figures, config.tables):
            if path is not None:
                locks.enter_context(writers.held(path))
        report = _read_report(sources, config, reporter)
        _write(report, output, key, _write_extras(report, config))
    return Outcome(output, is_new=True)


def _read_report(sources: Sources, config: ReportConfig, reporter: Reporter) -> Report:
    """Read the content of a report.

    Raises:
        InputError: A data set is missing.
        IntegrityError: A file has changed since it was written.
    """
    metrics, suites = measured(entry.evaluation for entry in sources.entries)
    runs = [run.record for experiment in sources.experiments for run in experiment.runs]
    with reporter.task("report", sum(len(run.rounds) for run in runs)) as advance:
        experiments = tuple(_read_experiment(one, advance) for one in sources.experiments)
    artifacts = [path for run in runs for path in artifacts_of(run)]
    names = [real_path(path).name for path in config.paths]
    return Report(
        title=_title(sources, names),
        metrics=metrics,
        suites=suites,
        entries=tuple(sources.entries),
        failures=tuple(sources.failures),
        experiments=experiments,
        gallery=read_gallery(sources.folders),
        provenance=read_provenance(
            [*artifacts, *sources.folders.values()], " ".join(["ectool report", *names])
        ),
    )


def _title(sources: Sources, names: list[str]) -> str:
    """Return the title of a single experiment, else a title with the names of the folders."""
    if len(names) == 1 and sources.experiments:
        return sources.experiments[0].record.title
    return "Evaluation of " + ", ".join(names)


def _read_experiment(experiment: FinishedExperiment, advance: Advance) -> ExperimentResults:
    """Read the arms of an experiment."""
    metrics, _ = measured(run.evaluation for run in experiment.runs)
    results = results_of(experiment, metrics)
    arms = []
    for name, settings in experiment.record.arms.items():
        runs = [run.record for run in experiment.runs_of(name)]
        arms.append(
            Arm(
                name=name,
                settings=settings,
                results=results[name],
                histories={run.seed: read_history(run) for run in runs},
                rounds={run.seed: read_rounds(run, advance) for run in runs if run.rounds},
            )
        )
    return ExperimentResults(
        **experiment.record.model_dump(exclude={"arms", "runs"}),
        metrics=metrics,
        arms=tuple(arms),
        round_samples=read_round_samples(experiment),
    )


def _write_extras(report: Report, config: ReportConfig) -> dict[Path, bytes]:
    """Write figures and tables for papers to the folders of the configuration; return them."""
    written: dict[Path, bytes] = {}
    if config.figures is not None:
        from ectool.reports.paper.figures import figures  # here: importing matplotlib takes long

        written |= _write_files(config.figures, figures(report))
    if config.tables is not None:
        from ectool.reports.paper.tables import paper_tables

        written |= _write_files(config.tables, paper_tables(report))
    return written


def _write_files(target: Path, found: Mapping[str, bytes]) -> dict[Path, bytes]:
    files.make_folder(target)
    for name, content in found.items():
        write_atomic(target / name, content)
    return {target / name: content for name, content in found.items()}


def _write(report: Report, output: Path, key: str, extras: Mapping[Path, bytes]) -> None:
    """Write all files, the page last: if it exists, the others are complete.

    Args:
        report: Their content.
        output: The page.
        key: Result of `report_key`.
        extras: Files that were written before; digests of those below the page's folder are kept.
    """
    from ectool.reports.page.document import (  # here: importing matplotlib takes long
        as_text,
        to_document,
    )
    from ectool.reports.page.html import render
    from ectool.reports.page.strip import pick, strip

    document = {**to_document(report), "key": key}
    page = render(report, {KEY: key, NUMBERS: numbers_digest(document)}).encode()
    shown = next((one.round_samples for one in report.experiments if one.round_samples), None)
    files.make_folder(output.parent)
    writing.remove_unfinished(output.parent, (output.name, JSON_FILE, STRIP_FILE))
    image = output.with_name(STRIP_FILE)
    contents = {} if shown is None else {image: strip(pick(shown.samples))}
    document[FILES] = _digests({**extras, **contents, output: page}, output.parent)
    files.remove(image)
    if image in contents:
        write_atomic(image, contents[image])
    write_atomic(output.with_name(JSON_FILE), sealed(as_text(document)))
    write_atomic(output, page)


def _digests(contents: Mapping[Path, bytes], folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder, by its path relative to the folder."""
    root = folder.absolute()
    found = {path.absolute(): content for path, content in contents.items()}
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(content).hexdigest()
        for path, content in found.items()
        if root in path.parents
    }
