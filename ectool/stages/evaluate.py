"""`evaluate`: accuracy, debiasing, robustness, localization and consistency of one model.

The predictions, samples, heatmaps and scores behind the metrics are artifacts of their own inside
the output folder, made by the same stages as in training; `results.json` is computed from them.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from pathlib import Path

from ectool.artifacts import files, folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import FILE_NAME, Recipe
from ectool.artifacts.partial import up_to_date
from ectool.config import (
    DataOptions,
    DeviceOptions,
    EvaluateConfig,
    ExplainConfig,
    ModelOptions,
    PerturbConfig,
    ScoreConfig,
)
from ectool.datasets.base import Dataset
from ectool.datasets.registry import find_entry
from ectool.errors import QualityGateError, UsageError
from ectool.stages import explain, perturb, score
from ectool.stages.inputs import ModelReference, data_source, find_model, open_data
from ectool.stages.layout import HEATMAPS, PREDICTIONS, RESULTS_FILE, SAMPLES
from ectool.stages.measure import Evaluated, class_table, condition_of, estimates, summarize
from ectool.stages.shards import is_done, map_shards
from ectool.types import SILENT, UP_TO_DATE, Reporter

PROTOCOL_ATTACK = {"eps": 2 / 255, "steps": 5, "mask": "quantile", "mask_level": 0.5}
PROTOCOL_SCORE = {"similarity": "cosine", "stability": "probability"}
"""How the metric of consistency is measured: fixed, so that models compare however trained."""
BOUND = re.compile(r"^(?P<metric>\S+?)(?P<sign><=|>=)(?P<bound>\S+)$")
SIGNS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


def run(config: EvaluateConfig, reporter: Reporter = SILENT) -> Path:
    """Evaluate a model and write the evaluation folder.

    Cost per sample: 1 forward per variant, `steps` forward and input-gradient passes per radius,
    and a cold round of perturb and explain.

    Raises:
        InputError: Model or data are missing or do not fit each other.
        OutputExistsError: The output exists with another key and `force` is off.
        QualityGateError: A metric misses a bound of `require`; everything has been written.
    """
    bounds = [parse_bound(text) for text in config.require]
    reference = find_model(config)
    dataset = open_data(config, config.split)
    recipe = Recipe(
        kind="evaluation",
        stage="evaluate",
        config=config.keyed(),
        parents=(reference.parent(config.output),),
        source=data_source(config, config.split, dataset),
    )
    if _is_finished(config, recipe):
        reporter.note(f"{config.output}: {UP_TO_DATE}")
    else:
        _compute(config, reference, dataset, recipe, reporter)
    _check_bounds(config.output, bounds)
    return config.output


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


def _compute(
    config: EvaluateConfig,
    reference: ModelReference,
    dataset: Dataset,
    recipe: Recipe,
    reporter: Reporter,
) -> None:
    """Make the artifacts that are missing, then the metrics."""
    output = config.output
    files.make_folder(output)
    predictions = _predict(config, reference, reporter)
    heatmaps, weights = _consistency(config, reporter)
    with (
        Artifact(predictions, "predictions") as predicted,
        Artifact(heatmaps, "heatmaps") as explained,
        Artifact(weights, "weights") as scored,
    ):
        evaluated = Evaluated(predicted, explained, scored, dataset, config)
        metrics, classes = summarize(estimates(evaluated)), class_table(evaluated)
    results = {
        "schema": "evaluation",
        "version": 1,
        "data": {"name": config.data, "split": config.split, "fingerprint": dataset.fingerprint},
        "model": reference.id,
        "metrics": metrics,
        **({"classes": classes} if classes else {}),
    }
    text = json.dumps(results, indent=1, allow_nan=False) + "\n"
    files.write_atomic(output / RESULTS_FILE, text.encode())
    folder.seal(output, recipe, length=len(dataset.sample_ids))


def _predict(config: EvaluateConfig, reference: ModelReference, reporter: Reporter) -> Path:
    """Write the predictions of every condition."""
    datasets = {
        name: open_data(config, config.split, name) for name in find_entry(config.data).variants
    }
    stage = config.model_copy(update={"output": config.output / PREDICTIONS})
    recipe = Recipe(
        kind="predictions",
        stage="evaluate",
        config={**config.keyed(), "variants": {n: d.fingerprint for n, d in datasets.items()}},
        parents=(reference.parent(stage.output),),
        source=data_source(config, config.split, datasets["original"]),
    )
    if is_done(stage.output, stage, recipe, reporter):
        return stage.output

    from ectool.stages.networks import asked, check_data, pick_device
    from ectool.stages.predict_work import PredictWork

    conditions = tuple(condition_of(eps, config.steps) for eps in config.eps)
    with asked(reference, config, pick_device(config)) as model:
        check_data(model, datasets["original"])
        work = PredictWork(config, model, datasets, conditions)
        return map_shards(work, stage, recipe, len(datasets["original"].sample_ids), reporter)


def _consistency(config: EvaluateConfig, reporter: Reporter) -> tuple[Path, Path]:
    """Run a cold round of perturb, explain and score by the protocol on the evaluated split."""
    names = {*ModelOptions.model_fields, *DeviceOptions.model_fields, "batch_size", "shard_size"}
    shared = config.model_dump(include={*names, "force", "resume"})
    data = config.model_dump(include=set(DataOptions.model_fields))
    samples = perturb.run(
        PerturbConfig(
            **shared,
            **data,
            **PROTOCOL_ATTACK,
            split=config.split,
            seed=config.seed,
            output=config.output / SAMPLES,
        ),
        reporter,
    )
    heatmaps = explain.run(
        ExplainConfig(**shared, samples=samples, output=config.output / HEATMAPS), reporter
    )
    scoring = ScoreConfig(
        heatmaps=heatmaps, force=config.force, resume=config.resume, **PROTOCOL_SCORE
    )
    return heatmaps, score.run(scoring, reporter)


def parse_bound(text: str) -> tuple[str, str, float]:
    """Read a bound such as `robust@2/255>=0.3` as (metric, sign, number).

    Raises:
        UsageError: It is not of that form.
    """
    match = BOUND.match(text.strip())
    try:
        if match is None:
            raise ValueError(text)
        return match["metric"], match["sign"], float(match["bound"])
    except ValueError:
        raise UsageError(
            "--require",
            expected="METRIC<=NUMBER or METRIC>=NUMBER",
            got=repr(text),
            fix="write e.g. background_gap<=0.1",
        ) from None


def _check_bounds(output: Path, bounds: list[tuple[str, str, float]]) -> None:
    """Compare the results with the bounds.

    Raises:
        UsageError: A bound names a metric that was not measured.
        QualityGateError: The first bound that is missed.
    """
    metrics = read_results(output) if bounds else {}
    for metric, sign, bound in bounds:
        if metric not in metrics:
            raise UsageError(
                "--require",
                expected="one of " + ", ".join(metrics),
                got=repr(metric),
                fix="name a measured metric",
            )
        value = metrics[metric]["value"]
        if not isinstance(value, float) or not SIGNS[sign](value, bound):
            raise QualityGateError(
                metric,
                expected=f"{sign} {bound:g}",
                got="undefined" if value is None else f"{value:.4f}",
                fix=f"see {output / RESULTS_FILE}",
            )
