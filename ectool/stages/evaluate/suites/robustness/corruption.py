"""Accuracy under common corruptions, and the corruption error relative to another model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from ectool.artifacts.artifact import Artifact
from ectool.config import BENCHMARK_CORRUPTIONS
from ectool.corruptions import SEVERITIES
from ectool.errors import InputError
from ectool.metrics.classification import is_correct
from ectool.metrics.robustness import (
    correctness_under_corruption,
    corruption_errors,
    error_rates,
    relative_corruption_errors,
)
from ectool.stages.common.inputs import data_source
from ectool.stages.common.layout import PREDICTIONS
from ectool.stages.common.same_images import VIEW, check_same_images
from ectool.stages.common.shards import Work
from ectool.stages.evaluate.results import read_results
from ectool.stages.evaluate.suites.base import Conditions, Table, Values
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.parts import ORIGINAL, Part, Subject, mapped
from ectool.stages.evaluate.suites.robustness.conditions import corruption_file, severity_name
from ectool.stages.evaluate.suites.tables import mean_lines

SEVERITY_NAMES = tuple(severity_name(severity) for severity in SEVERITIES)


def corruption_parts(subject: Subject) -> tuple[Part, ...]:
    """Return the predictions under every corruption; none for multi-label data.

    Raises:
        InputError: The evaluation that mCE compares with lacks a corruption.
    """
    config = subject.config
    if config.corruptions and subject.is_multilabel:
        return ()
    if config.corruption_baseline is not None:
        _check_baseline(config.corruption_baseline, subject)
    return tuple(
        mapped(
            corruption_file(kind),
            "predictions",
            partial(_predict, kind),
            options={"corruption": kind, "seed": config.seed},
        )
        for kind in config.corruptions
    )


def _check_baseline(baseline: Path, subject: Subject) -> None:
    """Check that another model's evaluation has the corruptions, on the same images."""
    kinds, results = subject.config.corruptions, read_results(baseline)
    with Artifact(baseline / PREDICTIONS, "predictions") as clean:
        source = data_source(subject.config, subject.config.split, subject.original)
        check_same_images(clean, source, f"--corruption-baseline {baseline}", VIEW)
    missing = [kind for kind in kinds if corruption_file(kind) not in results["parts"]]
    if missing:
        raise InputError(
            f"--corruption-baseline {baseline}",
            expected=f"an evaluation under {', '.join(kinds)}",
            got=f"none under {', '.join(missing)}",
            fix="evaluate that model with the same --corruptions",
        )


def _predict(kind: str, subject: Subject) -> Work[Any]:
    from ectool.stages.evaluate.suites.robustness.corrupt import CorruptionWork

    return CorruptionWork(subject.model, subject.original, kind, subject.config.seed)


def corruption_columns(evaluated: Evaluated) -> dict[str, Values]:
    """Return, for every sample, the share of corruptions under which it is correct, and its errors.

    Means over kinds use the kinds of the benchmark, not those that it holds out.
    """
    correct = {kind: _correct(evaluated, kind) for kind in _measured(evaluated)}
    found = {
        f"corruption_accuracy@{kind}": correctness_under_corruption(right[None])
        for kind, right in correct.items()
    }
    counted = [kind for kind in correct if kind in BENCHMARK_CORRUPTIONS]
    if not counted:
        return found
    every = np.stack([correct[kind] for kind in counted])
    found["corruption_accuracy"] = correctness_under_corruption(every)
    return found | _errors(evaluated, every, counted)


def corruption_conditions(evaluated: Evaluated) -> Conditions:
    """Return the kind of corruption of each metric under one, and its severities."""
    return {
        f"corruption_accuracy@{kind}": {
            "measure": "accuracy",
            "corruption": kind,
            "severities": list(SEVERITIES),
        }
        for kind in _measured(evaluated)
    }


def corruption_curves(evaluated: Evaluated) -> Table:
    """Return accuracy over the severity of each corruption."""
    return mean_lines(
        (
            ({"curve": "corruption", "corruption": kind, "severity": severity}, right)
            for kind in _measured(evaluated)
            for severity, right in zip(SEVERITIES, _correct(evaluated, kind), strict=True)
        ),
        "share",
    )


def _measured(evaluated: Evaluated) -> list[str]:
    kinds: list[str] = evaluated.config["corruptions"]
    return [kind for kind in kinds if evaluated.has(corruption_file(kind))]


def _correct(evaluated: Evaluated, kind: str) -> Bool[np.ndarray, "severities n"]:
    return np.stack([evaluated.correct(corruption_file(kind), name) for name in SEVERITY_NAMES])


def _errors(
    evaluated: Evaluated, correct: Bool[np.ndarray, "kinds severities n"], kinds: Sequence[str]
) -> dict[str, Values]:
    """Return the contribution of each sample to mCE and relative mCE; empty without a baseline.

    Raises:
        InputError: The baseline was evaluated on other samples.
    """
    baseline = evaluated.baseline
    if not baseline:
        return {}
    rates = np.stack(
        [
            _error_rates(evaluated, baseline[PurePath(corruption_file(kind)).name], SEVERITY_NAMES)
            for kind in kinds
        ]
    )
    found = {"mce": corruption_errors(correct, rates)}
    if PREDICTIONS in baseline:
        (clean,) = _error_rates(evaluated, baseline[PREDICTIONS], (ORIGINAL,))
        right = evaluated.correct(PREDICTIONS, ORIGINAL)
        found["relative_mce"] = relative_corruption_errors(correct, right, rates, float(clean))
    return found


def _error_rates(
    evaluated: Evaluated, artifact: Artifact, conditions: Sequence[str]
) -> Float64[np.ndarray, "conditions"]:
    """Return the error rates of another model under some conditions."""
    if set(artifact.sample_ids) != set(evaluated.sample_ids):
        raise InputError(
            f"--corruption-baseline: {artifact.path}",
            expected=f"the {len(evaluated.sample_ids)} samples of this evaluation",
            got=f"{len(artifact.sample_ids)}, not the same",
            fix="evaluate that model on the same data and split",
        )
    labels = artifact.read("label")
    right = np.stack([is_correct(artifact.read(f"{name}/logits"), labels) for name in conditions])
    rates: Float64[np.ndarray, "conditions"] = error_rates(right[None])[0]
    return rates
