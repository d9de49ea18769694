"""`evaluate`: accuracy, debiasing, robustness, localization and consistency of one model.

The predictions, samples, heatmaps and scores behind the metrics are artifacts of their own inside
the output folder, made by the same stages as in training; `results.json` is computed from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ectool.artifacts import files, folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import FILE_NAME, Recipe
from ectool.artifacts.partial import up_to_date
from ectool.config import EvaluateConfig
from ectool.datasets.labels import check_labelled
from ectool.errors import EctoolError
from ectool.stages.bounds import check_bounds, parse_bound
from ectool.stages.evaluate_parts import Parts, open_variants
from ectool.stages.inputs import find_model
from ectool.stages.layout import PREDICTIONS, RESULTS_FILE
from ectool.stages.measure import (
    ORIGINAL,
    Evaluated,
    attack_conditions,
    estimates,
    summarize,
    tables,
)
from ectool.types import SILENT, UP_TO_DATE, Reporter


def run(config: EvaluateConfig, reporter: Reporter = SILENT) -> Path:
    """Evaluate a model and write the evaluation folder.

    Cost per sample: 1 forward per variant, `steps` forward and input-gradient passes per radius,
    and a cold round of perturb and explain; with `challenge` a forward per background.

    Raises:
        InputError: Model or data are missing or do not fit each other.
        OutputExistsError: The output exists with another key and `force` is off.
        QualityGateError: A metric misses a bound of `require`; everything has been written.
    """
    bounds = [parse_bound(text) for text in config.require]
    parts = Parts(config, find_model(config), open_variants(config, reporter), reporter)
    check_labelled(parts.variants[ORIGINAL], "evaluate a labelled split")
    if config.challenge:
        parts.check_challenge()
    recipe = parts.recipe("evaluation", config.output)
    if _is_finished(config, recipe):
        reporter.note(f"{config.output}: {UP_TO_DATE}")
    else:
        with _nothing_left(config.output):
            _compute(config, parts, recipe)
    if bounds:
        check_bounds(read_results(config.output), bounds, config.output / RESULTS_FILE)
    return config.output


@contextmanager
def _nothing_left(output: Path) -> Iterator[None]:
    """Leave no empty folder behind where the block fails for its input."""
    try:
        yield
    except EctoolError:
        with suppress(OSError):  # something has been computed
            output.rmdir()
        raise


def read_results(path: Path) -> dict[str, dict[str, object]]:
    """Return the metrics of a finished evaluation by name."""
    manifest = folder.open_folder(path, "evaluation")
    text = folder.verify_file(path / RESULTS_FILE, manifest).read_text(encoding="utf-8")
    metrics: dict[str, dict[str, object]] = json.loads(text)["metrics"]
    return metrics


def _is_finished(config: EvaluateConfig, recipe: Recipe) -> bool:
    """Tell whether the evaluation is there; `--resume` looks into its artifacts even then."""
    if _is_in_the_making(config.output):
        return False
    return up_to_date(config.output, recipe, force=config.force) and not config.resume


def _is_in_the_making(output: Path) -> bool:
    """Tell whether an evaluation was begun there, but not finished."""
    if not output.is_dir() or (output / FILE_NAME).exists():
        return False
    names = [path.name for path in output.iterdir()]
    return not names or any(name.startswith(PREDICTIONS) for name in names)


def _compute(config: EvaluateConfig, parts: Parts, recipe: Recipe) -> None:
    """Make the artifacts that are missing, then the metrics."""
    output, dataset = config.output, parts.variants[ORIGINAL]
    files.make_folder(output)
    with ExitStack() as stack:
        made = {
            name: stack.enter_context(Artifact(path, kind))
            for name, (path, kind) in _artifacts(config, parts).items()
        }
        evaluated = Evaluated(
            variants=tuple(parts.variants),
            attacks=attack_conditions(config.eps, config.steps),
            dataset=dataset,
            **made,
        )
        found = estimates(evaluated, resamples=config.bootstrap, seed=config.seed)
        details = tables(evaluated, dataset.classes)
    results = {
        "schema": "evaluation",
        "version": 1,
        "data": {"name": config.data, "split": config.split, "fingerprint": dataset.fingerprint},
        "model": parts.reference.id,
        "metrics": summarize(found),
        **details,
    }
    text = json.dumps(results, indent=1, allow_nan=False) + "\n"
    files.write_atomic(output / RESULTS_FILE, text.encode())
    folder.seal(output, recipe, length=len(dataset.sample_ids))


def _artifacts(config: EvaluateConfig, parts: Parts) -> dict[str, tuple[Path, str]]:
    """Make what is missing; return path and kind of everything that can be measured from."""
    made = {"predictions": (parts.predictions(), "predictions")}
    if config.challenge:
        made["challenge"] = (parts.challenge(), "challenge")
    if parts.reference.is_opaque:
        parts.reporter.note(
            f"{config.model}: without localization and consistency, for no heatmaps can be drawn "
            "of a program; give the architecture and its weights"
        )
        return made
    heatmaps, weights = parts.consistency()
    return made | {"heatmaps": (heatmaps, "heatmaps"), "weights": (weights, "weights")}
