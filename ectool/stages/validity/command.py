"""`validity`: which score of a sample tells how far its prediction rests on the background."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ectool.artifacts import folder
from ectool.artifacts.files import check_inside
from ectool.artifacts.hashing import digest_file, digest_json
from ectool.artifacts.integrity.sealed_documents import FILES, document_problems, sealed_json
from ectool.artifacts.jobs import writers
from ectool.config import ValidityConfig
from ectool.errors import EctoolError
from ectool.parsing import read_object
from ectool.stages import train
from ectool.stages.validity.analysis import analyse
from ectool.stages.validity.draws import COMPARED, REPORTED, draws_of, fingerprints, split_of
from ectool.stages.validity.plan import Checkpoint, Study, open_study
from ectool.stages.validity.tables import (
    Table,
    has_key,
    read_table,
    remove_damaged,
    table_key,
    write_table,
)
from ectool.stages.validity.versions import CLEAN, CONTROL, Candidate, Version, all_versions, needed
from ectool.types import SILENT, Outcome, Reporter
from ectool.writing import write_atomic

DOCUMENT, PAGE, TEXT = "validity.json", "validity.html", "validity.md"


def run(config: ValidityConfig, reporter: Reporter = SILENT) -> Outcome:
    """Train the models of a study, measure every candidate, and write its page.

    Models and tables that exist are kept, so an interrupted study goes on where it stopped.

    Raises:
        InputError: The file is missing, or a data set has no masks or variants.
        UsageError: The file holds an unknown name or a value out of bounds.
        BusyOutputError: Another process writes the study.
    """
    study = open_study(config)
    with writers.held(study.folder):
        check_inside(study.folder)
        return _run(study, config, reporter)


def _run(study: Study, config: ValidityConfig, reporter: Reporter) -> Outcome:
    """Train and measure what is missing in the folder of a study, whose lock is held."""
    checkpoints = list(study.checkpoints())
    parts = [(COMPARED, all_versions(study.config))]
    if study.config.test_draws:
        parts.append((REPORTED, reported_versions(study)))
    is_new, keys = False, []
    with reporter.task("validity", len(checkpoints) * len(parts)) as advance:
        for checkpoint in checkpoints:
            model = train.run(study.training(checkpoint), reporter)
            is_new |= model.is_new
            for part, versions in parts:
                key, is_measured = _measure(study, checkpoint, part, versions, config, reporter)
                keys.append(key)
                is_new |= is_measured
                advance(1)
    return _publish(study, digest_json(keys), checkpoints, is_new=is_new)


def reported_versions(study: Study) -> list[Version]:
    """Return the versions of the chosen and the default candidate, and of their control."""
    config = study.config
    chosen = Candidate.parse(config.chosen, "chosen").version
    control = Version(CONTROL, chosen.source, chosen.amount)
    wanted = [Version(CLEAN), chosen, Candidate.parse(config.default, "default").version]
    wanted += [control] if chosen.kind == "replace" else []
    found = [part for version in wanted for part in needed(version, config)]
    return list(dict.fromkeys(found))


def _measure(
    study: Study,
    checkpoint: Checkpoint,
    part: str,
    versions: list[Version],
    config: ValidityConfig,
    reporter: Reporter,
) -> tuple[str, bool]:
    """Write the table of a checkpoint unless it exists; return its key, and whether it is new."""
    options, seeds = study.data_options(checkpoint), draws_of(study.config, part)
    split = split_of(study.config, part)
    model = folder.open_folder(study.training(checkpoint).output, "model").id
    key = table_key(study.config, model, fingerprints(options, split, seeds), versions)
    path = study.table(checkpoint, part)
    if remove_damaged(path):
        reporter.warn(f"{path}: changed since it was written; measuring again")
    if has_key(path, key):
        return key, False
    from ectool.stages.validity.checkpoint import measure  # here: it imports torch

    write_table(path, measure(study, checkpoint, split, seeds, versions, config), key)
    return key, True


def _tables(study: Study, checkpoints: list[Checkpoint], part: str) -> list[Table]:
    return [read_table(study.table(checkpoint, part)) for checkpoint in checkpoints]


def _publish(study: Study, key: str, checkpoints: list[Checkpoint], *, is_new: bool) -> Outcome:
    """Write the page and its numbers, unless both are there with this key."""
    from ectool.reports.validity import to_document, to_markdown
    from ectool.reports.validity_page import render

    path = study.folder / PAGE
    key = digest_json([key, study.config.model_dump(mode="json")])
    document_path = study.folder / DOCUMENT
    if _key_of(document_path) == key and document_problems(document_path) == []:
        return Outcome(path, is_new)
    test = _tables(study, checkpoints, REPORTED) if study.config.test_draws else []
    results = analyse(study.config, _tables(study, checkpoints, COMPARED), test)
    texts = {study.folder / TEXT: to_markdown(results), path: render(results)}
    for target, text in texts.items():
        write_atomic(target, text.encode())
    parts = [COMPARED] + [REPORTED] * bool(test)
    written = [*texts, *(study.table(one, part) for one in checkpoints for part in parts)]
    digests = {one.relative_to(study.folder).as_posix(): digest_file(one) for one in written}
    document = {**to_document(results), "key": key, FILES: digests}
    write_atomic(document_path, sealed_json(document))
    return Outcome(path, is_new=True)


def _key_of(path: Path) -> str | None:
    """Return the key in a document; None without one."""
    with suppress(OSError, EctoolError):
        found = read_object(path, allow_nan=True).get("key")
        return found if isinstance(found, str) else None
    return None
