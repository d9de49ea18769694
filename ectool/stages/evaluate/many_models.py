"""`evaluate --models`: many models on the same images, one evaluation each.

A model that fails is recorded with its error, and the others are evaluated. Errors that would
stop every model end the command: a full disk, an existing output, an interrupt.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from ectool.artifacts import files
from ectool.artifacts.integrity.sealed_documents import FILES, sealed
from ectool.artifacts.jobs import writers
from ectool.artifacts.manifest import FILE_NAME, library_versions
from ectool.config import EvaluateConfig, ModelOptions
from ectool.datasets.base import Dataset
from ectool.datasets.fingerprint import fingerprints
from ectool.datasets.shared import shared
from ectool.distributed.group import ALONE, Group
from ectool.distributed.launch import RanksNeededError
from ectool.distributed.world import apart
from ectool.errors import EctoolError, OutputExistsError
from ectool.machine import is_of_disk
from ectool.models.blame import blamed
from ectool.stages.common.code import check_trusted
from ectool.stages.common.layout import RESULTS_FILE
from ectool.stages.evaluate.conclusion import conclude
from ectool.stages.evaluate.gates.baseline import check_baseline
from ectool.stages.evaluate.gates.parse import parse_bounds
from ectool.stages.evaluate.lacks import check_suites
from ectool.stages.evaluate.leaderboard import LEADERBOARD_FILE, Standing, leaderboard, results
from ectool.stages.evaluate.model_list import ListedModel, listed_models
from ectool.stages.evaluate.one_model import data_facts, evaluate, open_variants
from ectool.stages.evaluate.results import read_metrics
from ectool.types import SILENT, Outcome, Reporter, merged, warn, within
from ectool.writing import write_atomic


def run(config: EvaluateConfig, reporter: Reporter = SILENT, group: Group = ALONE) -> Outcome:
    """Evaluate many models and write the audit: a folder per model, the leaderboard, the results.

    Leaderboard and results are written after every new evaluation. Cost: the sum of the single
    evaluations; images are decoded once. Memory: that of the largest model.

    Args:
        config: Options of the command.
        reporter: Receives progress and notes.
        group: The processes; each evaluates every so many-th model, and decodes the images.

    Raises:
        InputError: A list of models or the data are missing or invalid.
        UsageError: A model of a list, or a bound, is not valid.
        OutputExistsError: The output, or the evaluation of a model, exists and is something else,
            and `force` is off.
        FailedModelsError: Models failed; the others have been evaluated.
        QualityGateError: A model misses a bound of `require`; everything has been written.
    """
    bounds = parse_bounds(config.require, config.suite, has_baseline=config.baseline is not None)
    models = listed_models(config.models)
    with _held(config.output, group) as scratch:
        opened = open_variants(config, reporter)
        check_suites(config, opened, reporter)
        check_baseline(config.baseline, config.output, bounds, fingerprints(opened))
        with shared(opened, scratch) as variants:
            standings, outcome = _evaluate_all(config, models, variants, reporter, group)
    return group.from_first(lambda: conclude(config, outcome, bounds, standings))


@contextmanager
def _held(output: Path, group: Group) -> Iterator[Path]:
    """Lock the output in rank 0; yield a folder for scratch files.

    Raises:
        OutputExistsError: The output is another artifact.
    """
    if (output / FILE_NAME).exists():
        raise OutputExistsError(
            str(output),
            expected="nothing there yet, or the evaluations of many models",
            got="an artifact of its own",
            fix="choose another --output",
        )
    scratch = output.with_name(f"{output.name}.partial-audit")
    with writers.exclusive(scratch, output) if group.world.is_first else nullcontext():
        group.barrier()
        yield scratch
        group.barrier()
        if group.world.is_first:
            files.remove(scratch)


def _evaluate_all(
    config: EvaluateConfig,
    models: Sequence[ListedModel],
    variants: Mapping[str, Dataset],
    reporter: Reporter,
    group: Group,
) -> tuple[list[Standing], Outcome]:
    """Evaluate the models in order; return their standings and the merged outcome."""
    standings = [Standing(model.name, model.path) for model in models]
    facts, outcomes = _facts(config, variants), list[Outcome]()
    own = range(group.world.rank, len(models), group.world.size)
    if not group.world.is_alone:
        config = config.model_copy(update={"nproc": 1})
    with reporter.task("models", len(own)) as advance, _collecting() as collect, apart():
        for place in own:
            standings[place], outcome = _evaluated(config, models[place], variants, reporter)
            outcomes.append(outcome)
            if outcome.is_new or standings[place].status == "failed":
                collect()
                if group.world.is_first:
                    outcomes.append(_write(config.output, standings, facts))
            advance(1)
    for rank, (found, others) in enumerate(group.gather((standings, outcomes))):
        standings[rank :: group.world.size] = found[rank :: group.world.size]
        outcomes += others if rank != group.world.rank else []
    outcomes.append(group.from_first(lambda: _write(config.output, standings, facts)))
    return standings, merged(config.output, outcomes)


@contextmanager
def _collecting() -> Iterator[Callable[[], None]]:
    """Yield a function that frees a model with reference cycles, before the next one is loaded.

    Objects that outlive a model are frozen: with torch, scanning them takes 0.1 s each time.
    """

    def collect() -> None:
        gc.collect()
        gc.freeze()

    try:
        yield collect
    finally:
        gc.unfreeze()


def _evaluated(
    config: EvaluateConfig, model: ListedModel, variants: Mapping[str, Dataset], reporter: Reporter
) -> tuple[Standing, Outcome]:
    """Evaluate one model as if it were the only one; return its standing and the outcome."""
    output = config.output / model.name
    update = {**model.options, "models": (), "output": output}
    try:
        check_trusted(str(model.options["model"]), model.where, trust_code=config.trust_code)
        own = within(reporter, model.name)
        outcome = evaluate(config.model_copy(update=update), variants, own)
        metrics = read_metrics(output)
    except BaseException as error:
        if _concerns_all(error):
            raise
        error = blamed(error) or error
        text = str(error) if isinstance(error, EctoolError) else f"{type(error).__name__}: {error}"
        line = " ".join(text.split())
        reporter.note(f"{model.name} failed: {line}")
        failed = Standing(model.name, model.path, "failed", error=line)
        return failed, Outcome(output, is_new=False)
    warn(outcome, reporter)
    return Standing(model.name, model.path, "ok", evaluation=model.name, metrics=metrics), outcome


def _concerns_all(error: BaseException) -> bool:
    """Return whether an error is independent of the model, so that the others would fail too."""
    if isinstance(error, KeyboardInterrupt) or not (isinstance(error, Exception) or blamed(error)):
        return True
    return is_of_disk(error) or isinstance(error, OutputExistsError | RanksNeededError)


def _facts(config: EvaluateConfig, variants: Mapping[str, Dataset]) -> dict[str, Any]:
    """Return the entries that all models share: data, configuration and versions."""
    options = config.keyed().items()
    return {
        "data": data_facts(config, variants),
        "configuration": {n: v for n, v in options if n not in ModelOptions.model_fields},
        "versions": library_versions(),
    }


def _write(output: Path, standings: Sequence[Standing], facts: Mapping[str, Any]) -> Outcome:
    """Write results and leaderboard if they differ, atomically."""
    table = leaderboard(standings).encode()
    digests = {LEADERBOARD_FILE: hashlib.sha256(table).hexdigest()}
    document = sealed(results(standings, {**facts, FILES: digests}))
    paths = {output / RESULTS_FILE: document, output / LEADERBOARD_FILE: table}
    stale = [path for path, data in paths.items() if not _holds(path, data)]
    files.make_folder(output)
    for path in stale:
        write_atomic(path, paths[path])
    return Outcome(output, is_new=bool(stale))


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data
