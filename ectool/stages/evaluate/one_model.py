"""One model on one split: the parts of its suites, and the results computed from them.

The parts (`suites/parts.py`) are in the output folder. `results.json` is computed from them, so
that other options compute only missing parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from ectool.artifacts import files, folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.chunks.seal import checksum
from ectool.artifacts.jobs import writers
from ectool.artifacts.manifest import FILE_NAME, Recipe, library_versions
from ectool.artifacts.partial import up_to_date
from ectool.artifacts.store import known_manifest
from ectool.config import EvaluateConfig
from ectool.datasets.base import Dataset
from ectool.datasets.fingerprint import fingerprints
from ectool.datasets.labels import check_labelled
from ectool.datasets.registry import find_entry
from ectool.distributed.group import ALONE, Group
from ectool.distributed.launch import need_ranks
from ectool.errors import EctoolError, InputError
from ectool.reports.evaluation import RESULTS_VERSION
from ectool.stages.common.findings import findings_of
from ectool.stages.common.found_models import ModelReference, find_model, method_key
from ectool.stages.common.inputs import open_data, parent_of
from ectool.stages.common.layout import PREDICTIONS, RESCALED, RESULTS_FILE
from ectool.stages.evaluate.growth import may_grow
from ectool.stages.evaluate.lacks import check_suites
from ectool.stages.evaluate.metrics import metrics, tables
from ectool.stages.evaluate.precision import settle_precision
from ectool.stages.evaluate.results import part_of, read_results
from ectool.stages.evaluate.suites import SUITES
from ectool.stages.evaluate.suites.base import Resampling
from ectool.stages.evaluate.suites.classification.suite import PREDICTED
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.localization.found_boxes import validation_key
from ectool.stages.evaluate.suites.parts import ORIGINAL, Part, Subject
from ectool.stages.evaluate.suites.robustness.applicable import package_key
from ectool.stages.evaluate.suites.robustness.conditions import corruption_file
from ectool.types import Finding, Outcome, Reporter
from ectool.writing import write_atomic

UNATTACKED = {"classification", "debiasing"}
"""Suites without attacks, whose loss was another one in earlier versions."""
BASELINE = "corruption_baseline"
"""Role of the evaluation whose errors under corruption are the unit of mCE."""


def evaluate(
    config: EvaluateConfig,
    variants: Mapping[str, Dataset],
    reporter: Reporter,
    reference: ModelReference | None = None,
    group: Group = ALONE,
) -> Outcome:
    """Evaluate a model on the open variants of a data set.

    Args:
        config: Options of the stage.
        variants: The images.
        reporter: Receives progress and notes.
        reference: The model. Default: the one that the options name.
        group: The processes that share the work. Default: this one.

    An existing evaluation of the same model on the same images keeps its parts; only missing parts
    are computed.

    Raises:
        InputError: The model is missing, does not fit the data, or no suite can give a metric.
        OutputExistsError: The output exists, is of something else, and `force` is off.
    """
    with Subject(config, reference or find_model(config), variants, reporter, group) as subject:
        check_labelled(subject.original, "evaluate a labelled split")
        check_suites(config, variants, reporter, is_program=subject.reference.is_program)
        settle_precision(subject)
        config = subject.config
        recipe = recipe_of(subject)
        if group.from_first(lambda: _is_finished(config, recipe)):
            return _outcome(config.output, read_results(config.output), is_new=False)
        need_ranks(config.nproc)
        with _writing(config.output, group):
            return _compute(subject, parts_of(subject), recipe)


def parts_of(subject: Subject) -> dict[str, Part]:
    """Return the parts of all suites by file, each once, the predictions first."""
    found = {PREDICTED.file: PREDICTED}
    for suite in subject.config.suite:
        found |= {part.file: part for part in SUITES[suite].parts(subject)}
    return found


def recipe_of(subject: Subject) -> Recipe:
    """Return what determines the results of an evaluation."""
    config = subject.config
    prints = {"variants": fingerprints(subject.variants)}
    options = {**config.keyed(), **method_key(config.method), **prints, **_suite_key(subject)}
    recipe = subject.recipe("evaluation", config.output, options)
    baseline = config.corruption_baseline
    if baseline is None:
        return recipe
    found = folder.open_folder(baseline, "evaluation").id
    parent = parent_of(BASELINE, baseline, "evaluation", found, config.output)
    return recipe.model_copy(update={"parents": (*recipe.parents, parent)})


def _suite_key(subject: Subject) -> dict[str, Any]:
    """Return the inputs of the suites other than options, model and images."""
    config = subject.config
    found: dict[str, Any] = {}
    if not set(config.suite) <= UNATTACKED:
        found["auto_loss"] = RESCALED
    if "localization" in config.suite:
        found |= validation_key(subject)
    if "robustness" in config.suite:
        found |= package_key(config.attacks)
    if "stability" in config.suite:
        makers = {name: key for name in config.explainers if (key := method_key(name))}
        found |= {"explainer_makers": makers} if makers else {}
    return found


@contextmanager
def _writing(output: Path, group: Group) -> Iterator[None]:
    """Hold the lock of the output in the first process; leave no empty output after an error."""
    with writers.held(output) if group.world.is_first else nullcontext():
        try:
            yield
        except EctoolError:
            with suppress(OSError):  # something has been computed
                output.rmdir()
            raise


def _is_finished(config: EvaluateConfig, recipe: Recipe) -> bool:
    """Return whether nothing is left to compute; `--resume` checks the parts in any case."""
    if may_grow(config.output, recipe) and not config.force:
        return False
    if not up_to_date(config.output, recipe, force=config.force) or config.resume:
        return False
    found = read_results(config.output, versions=range(RESULTS_VERSION + 1))
    return bool(found.get("version") == RESULTS_VERSION)


def _compute(subject: Subject, parts: Mapping[str, Part], recipe: Recipe) -> Outcome:
    """Make the artifacts that are missing, then the results."""
    output, group = subject.config.output, subject.group
    before = _identity(output)
    group.from_first(lambda: files.make_folder(output))
    made = dict[str, Outcome]()
    for number, (file, part) in enumerate(parts.items(), 1):
        with subject.reporting(f"part {number} of {len(parts)}: {part.name}"):
            made[file] = part.made(subject)
    results = group.from_first(lambda: _write_results(subject, parts, made, recipe))
    is_new = before != _identity(output) or any(one.is_new for one in made.values())
    return _outcome(output, results, is_new=is_new)


def _write_results(
    subject: Subject, parts: Mapping[str, Part], made: Mapping[str, Outcome], recipe: Recipe
) -> dict[str, object]:
    """Compute the results from the parts, and write them and the manifest."""
    output = subject.config.output
    with ExitStack() as stack:
        artifacts = {
            file: stack.enter_context(Artifact(one.path, parts[file].kind))
            for file, one in made.items()
        }
        baseline = {
            path.name: stack.enter_context(Artifact(path, "predictions"))
            for path in _baseline_parts(subject.config)
        }
        results = _results(subject, artifacts, baseline)
    files.remove(output / FILE_NAME)  # the results on disk may be of other options
    text = (json.dumps(results, indent=1, allow_nan=False) + "\n").encode()
    write_atomic(output / RESULTS_FILE, text)  # beside a report, which is no part of it
    sums, length = {RESULTS_FILE: checksum(text).hex()}, len(subject.original.sample_ids)
    manifest = folder.seal(output, recipe, length=length, only=tuple(sums), checksums=sums)
    folder.upload(output, manifest)
    return results


def _identity(output: Path) -> tuple[str, str] | None:
    """Return key and id of the evaluation in a folder; None if there is no evaluation."""
    found = known_manifest(output)
    return None if found is None else (found.key, found.id)


def _outcome(output: Path, results: Mapping[str, Any], *, is_new: bool) -> Outcome:
    """Return the outcome of an evaluation: the findings of its parts, and of its metrics."""
    findings = [one for file in results.get("parts", {}) for one in findings_of(output / file)]
    return Outcome(output, is_new, (*findings, *_upper_bounds(output, results)))


def _upper_bounds(output: Path, results: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield a finding for each reason why metrics are only upper bounds."""
    names: dict[str, list[str]] = {}
    for name, entry in results["metrics"].items():
        if "upper_bound" in entry:
            names.setdefault(entry["upper_bound"], []).append(name)
    for reason, those in names.items():
        text = f"only upper bounds: {', '.join(those)}; {reason}"
        title = "metrics under attack are only upper bounds"
        yield Finding("upper-bounds", output / RESULTS_FILE, text, title)


def _baseline_parts(config: EvaluateConfig) -> list[Path]:
    """Return the predictions of the baseline of mCE: clean, and under each corruption.

    Raises:
        IntegrityError: One is not what the results of that model were computed from.
    """
    baseline = config.corruption_baseline
    if baseline is None or "robustness" not in config.suite:
        return []
    results = read_results(baseline)
    names = [PREDICTIONS, *(corruption_file(kind) for kind in config.corruptions)]
    parts = (part_of(baseline, results, name) for name in names)
    return [part for part in parts if part is not None]


def _results(
    subject: Subject, artifacts: Mapping[str, Artifact], baseline: Mapping[str, Artifact]
) -> dict[str, object]:
    """Return the content of `results.json`."""
    config, original = subject.config, subject.original
    evaluated = Evaluated(
        variants=tuple(subject.variants),
        parts=artifacts,
        config=config.keyed(),
        classes=original.classes,
        dataset=original,
        baseline=baseline,
    )
    resampling = Resampling(config.bootstrap, config.seed)
    return {
        "schema": "evaluation",
        "version": RESULTS_VERSION,
        "model": {"id": subject.reference.id, "architecture": subject.reference.architecture},
        "data": data_facts(config, subject.variants),
        "configuration": config.keyed(),
        "versions": library_versions(),
        "suites": list(config.suite),
        "parts": {file: artifact.id for file, artifact in artifacts.items()},
        "findings": _findings(evaluated),
        "metrics": metrics(evaluated, config.suite, resampling),
        "tables": tables(evaluated, config.suite, resampling),
    }


def _findings(evaluated: Evaluated) -> dict[str, float]:
    """Return the findings of the predictions."""
    manifest = evaluated.predictions.manifest
    return {} if manifest is None else manifest.all_findings()


def data_facts(config: EvaluateConfig, variants: Mapping[str, Dataset]) -> dict[str, object]:
    """Return the entry `data` of the results."""
    prints = fingerprints(variants)
    return {
        "name": config.data,
        "split": config.split,
        "fingerprint": prints[ORIGINAL],
        "variants": prints,
    }


def open_variants(config: EvaluateConfig, reporter: Reporter) -> dict[str, Dataset]:
    """Open every available background variant of the split, all of the same samples.

    Raises:
        InputError: The original images are missing, or a variant holds other samples.
    """
    original = open_data(config, config.split)
    found = {ORIGINAL: original}
    for name in find_entry(config.data).variants:
        if name == ORIGINAL:
            continue
        try:
            found[name] = open_data(config, config.split, name)
        except InputError as error:
            if "debiasing" in config.suite:
                reporter.warn(f"without the variant {name}: {error}")
            continue
        if list(found[name].sample_ids) != list(original.sample_ids):
            raise InputError(
                found[name].name,
                expected=f"the samples of {original.name}",
                got="others",
                fix="unpack both variants again",
            )
    return found
