"""Stability suite: explanations under attacks, corruptions, noise and other methods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ectool.config import HeatmapOptions, PerturbConfig
from ectool.config.measure import EXPLANATION_ATTACK, measure_key
from ectool.errors import EctoolError
from ectool.scores.multilabel import average_over_labels
from ectool.scores.summary import correlation, moments
from ectool.stages.common.layout import WEIGHTS
from ectool.stages.common.shards import Work
from ectool.stages.evaluate.suites.base import Columns, Resampling, Suite, Table, Values
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.parts import Part, Subject, heatmap_key, mapped
from ectool.stages.evaluate.suites.rounds import consistency_parts
from ectool.stages.evaluate.suites.stability.protocol import StabilityProtocol
from ectool.stages.evaluate.suites.tables import mean_lines

STABILITY = "stability.zarr"
AGREEMENT = "agreement"
"""Folder with an artifact for every method that the evaluated one is compared with."""
PROTOCOL = StabilityProtocol()
PARTS = {"heatmap_similarity": "similarity", "prediction_stability": "stability"}
"""Metrics of the two factors of explanation consistency, and their arrays."""
MEASURES = ("consistency_noise", "consistency_jpeg", "sensitivity_max")
SIMILARITIES = ("rank_correlation", "ssim", "top_iou")


def parts(subject: Subject) -> tuple[Part, ...]:
    """Return the parts with all measures; none for a model without layers."""
    if subject.reference.is_program:
        return ()
    config = subject.config
    fixed = {**EXPLANATION_ATTACK, **asdict(PROTOCOL), **measure_key()}
    options = {**heatmap_key(config), **fixed, "seed": config.seed}
    measured = mapped(STABILITY, "stability", _measure, options=options, only_subset=True)
    return (*consistency_parts(subject), measured, *_agreements(subject))


def _measure(subject: Subject) -> Work[Any]:
    from ectool.stages.evaluate.suites.stability.work import StabilityWork

    config = subject.config
    shared = config.model_dump(include={*HeatmapOptions.model_fields, "model", "seed"})
    attack = PerturbConfig(**shared, **EXPLANATION_ATTACK, output=subject.path(STABILITY))
    return StabilityWork(attack, PROTOCOL, subject.model, subject.subset)


def _agreements(subject: Subject) -> Iterator[Part]:
    """Yield the agreement with every other method; undefined where one does not fit the network.

    An undefined agreement is stored too, so that the network need not be loaded again to find it.
    """
    config = subject.config
    for method in config.explainers:
        if method == config.method:
            continue
        other = HeatmapOptions(method=method, precision=config.precision)
        file = f"{AGREEMENT}/{method}.zarr"
        options = {**heatmap_key(config), "other": heatmap_key(other)}
        yield mapped(file, "agreement", partial(_compare, other), options=options, only_subset=True)


def _compare(other: HeatmapOptions, subject: Subject) -> Work[Any]:
    from ectool.stages.evaluate.suites.stability.agreement import AgreementWork, check_fits

    fitting: HeatmapOptions | None = other
    try:
        check_fits(other, subject.model, subject.subset.size)
    except EctoolError as error:
        subject.reporter.note(f"without agreement@{other.method}: {error}")
        fitting = None
    return AgreementWork(subject.config, fitting, subject.model, subject.subset)


def columns(evaluated: Evaluated) -> Columns:
    """Return consistency and its parts, max-sensitivity, agreement with other methods."""
    found: Columns = {}
    if evaluated.has(WEIGHTS):
        found["explanation_consistency"] = evaluated.scores(WEIGHTS, "explanation_consistency")
        found |= {name: _part(evaluated, array) for name, array in PARTS.items()}
    if evaluated.has(STABILITY):
        found |= {name: evaluated.scores(STABILITY, name) for name in MEASURES}
    if evaluated.has(WEIGHTS) and evaluated.has(STABILITY):
        attacked = evaluated.scores(STABILITY, "consistency_attack")
        found["consistency_worst"] = np.minimum(found["explanation_consistency"], attacked)
    for method, file in _methods(evaluated).items():
        found[f"agreement@{method}"] = evaluated.scores(file, "rank_correlation")
    return found


def _part(evaluated: Evaluated, array: str) -> Values:
    """Return similarity or stability of every sample; multi-label: the mean over its labels."""
    scores = evaluated.scores(WEIGHTS, array)
    return scores if scores.ndim == 1 else average_over_labels(scores.astype(np.float32))


def tables(evaluated: Evaluated, resampling: Resampling) -> dict[str, Table]:  # noqa: ARG001 (protocol)
    """Return the parts of explanation consistency, and the agreement with other methods."""
    found = {"consistency": _consistency_lines(evaluated)} if evaluated.has(WEIGHTS) else {}
    means = (
        ({"method": method, "similarity": similarity}, evaluated.scores(file, similarity))
        for method, file in _methods(evaluated).items()
        for similarity in SIMILARITIES
    )
    lines = mean_lines(means)
    return found | ({"agreement": lines} if lines else {})


def _consistency_lines(evaluated: Evaluated) -> Table:
    """Return mean, spread and correlation with E of explanation consistency and of its parts."""
    own = columns(evaluated)
    scores = {name: np.asarray(own[name]) for name in ("explanation_consistency", *PARTS)}
    lines = mean_lines((({"part": name}, values) for name, values in scores.items()), "share")
    whole = scores["explanation_consistency"]
    return [
        {**line, "std": _std(values), "correlation": correlation(values, whole)}
        for line, values in zip(lines, scores.values(), strict=True)
    ]


def _std(values: np.ndarray[Any, Any]) -> float | None:
    found = moments(values)
    return None if found is None else found.std


def _methods(evaluated: Evaluated) -> dict[str, str]:
    """Return the files of the methods with a defined agreement."""
    paths = (PurePosixPath(file) for file in evaluated.parts)
    return {
        path.stem: str(path)
        for path in paths
        if path.parts[0] == AGREEMENT
        and not np.isnan(evaluated.scores(str(path), "rank_correlation")).all()
    }


SUITE = Suite(parts, columns, tables=tables)
