"""Plan of `evaluate`: every part of the suites."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ectool.artifacts.partial import partial_folder
from ectool.artifacts.store import known_manifest, read_manifest
from ectool.config import EvaluateConfig
from ectool.datasets.base import Dataset
from ectool.stages.common.code import check_trusted
from ectool.stages.common.found_models import find_model
from ectool.stages.common.loop.batch_size import sized
from ectool.stages.dry_run.plan import DONE, START, Step, batches_of, document
from ectool.stages.dry_run.sample import Sample, scratch
from ectool.stages.dry_run.stopwatch import Stopwatch
from ectool.stages.evaluate.lacks import check_suites
from ectool.stages.evaluate.model_list import listed_models
from ectool.stages.evaluate.one_model import evaluate, open_variants, parts_of, recipe_of
from ectool.stages.evaluate.precision import settle_precision
from ectool.stages.evaluate.suites.parts import ORIGINAL, Subject
from ectool.types import SILENT


def plan_evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Return the plan of `evaluate`, model by model."""
    variants = open_variants(config, SILENT)
    check_suites(config, variants, SILENT)
    if not config.models:
        return document(config.output, steps_of(config, variants))
    steps = list[Step]()
    for model in listed_models(config.models):
        output = config.output / model.name
        check_trusted(str(model.options["model"]), model.where, trust_code=config.trust_code)
        update = {**model.options, "models": (), "require": (), "output": output}
        steps += steps_of(config.model_copy(update=update), variants, f"{model.name}: ")
    return document(config.output, steps)


def steps_of(
    config: EvaluateConfig, variants: Mapping[str, Dataset], prefix: str = ""
) -> Iterator[Step]:
    """Yield the parts of the evaluation of one model.

    Args:
        config: Options of the evaluation.
        variants: The open data set in every available background variant.
        prefix: Beginning of the name of each part.
    """
    config = sized(config, variants[ORIGINAL].size)
    with Subject(config, find_model(config), variants, SILENT) as subject:
        settle_precision(subject)
        config = subject.config
        found = known_manifest(config.output)
        is_done = found is not None and found.key == recipe_of(subject).key
        watch = Stopwatch()
        times = {} if is_done else time_parts(config, variants[ORIGINAL], watch)
        for file, part in parts_of(subject).items():
            state = DONE if is_done else _state(subject.path(file))
            left = part.length(subject) if state != DONE else 0
            seconds = left * times.get(part.name, 0.0)
            batches = batches_of(left, config.batch)
            yield Step(prefix + part.name, subject.path(file), state, left, batches, seconds)
        state = DONE if is_done else "new"
        rest = 0.0 if is_done else watch.rest()
        yield Step(prefix + START, config.output, state, 0, 0, rest)


def _state(path: Path) -> str:
    """Return the state of a part; its key is checked when it is computed."""
    manifest = read_manifest(path) if path.exists() else None
    if manifest is None:
        return "new"
    return DONE if not partial_folder(path, manifest.recipe).exists() else "begun"


def time_parts(config: EvaluateConfig, dataset: Dataset, watch: Stopwatch) -> dict[str, float]:
    """Evaluate a sample; return the seconds of an image by the name of the part."""
    sample = Sample.of(dataset, config.batch)
    with scratch() as place:
        given = {
            **sample.options,
            **{"require": (), "corruption_baseline": None, "resume": False},
            **{"subset": min(config.subset, sample.limit), "output": place / "eval"},
        }
        changed = config.model_copy(update=given)
        evaluate(changed, open_variants(changed, SILENT), watch)
    return {one.name.split(": ", 1)[-1]: one.per_item for one in watch.tasks}
