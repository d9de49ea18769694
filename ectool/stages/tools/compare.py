"""`compare`: paired tests of the metrics of two evaluations of the same images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from ectool.artifacts import folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import DataSource, Manifest
from ectool.artifacts.store import read_manifest
from ectool.config import CompareConfig, ModelOptions
from ectool.datasets.base import Dataset
from ectool.errors import InputError
from ectool.metrics.comparison import holm, paired_comparison
from ectool.stages.common.inputs import positions, reopen_data
from ectool.stages.common.layout import HEATMAPS
from ectool.stages.evaluate.definitions import describe
from ectool.stages.evaluate.metrics import columns, draws
from ectool.stages.evaluate.results import part_of, read_results
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.tables import number
from ectool.types import SILENT, Reporter

Column = Float64[np.ndarray, "n"]
LEVEL = 0.05
"""Family-wise error rate: a difference with a smaller corrected p-value is significant."""


@dataclass(frozen=True)
class FinishedEvaluation:
    """A finished evaluation, not yet read.

    Attributes:
        path: Its folder.
        source: The original images.
        results: Content of its `results.json`.
    """

    path: Path
    source: DataSource
    results: Mapping[str, Any]


@dataclass(frozen=True)
class Common:
    """Common content of both evaluations.

    Attributes:
        suites: Suites of both.
        variants: Background variants.
        parts: Schema of the parts with equal options, by file.
        dataset: The original images; None if they are not available.
    """

    suites: tuple[str, ...]
    variants: tuple[str, ...]
    parts: Mapping[str, str]
    dataset: Dataset | None


class PairedValues(NamedTuple):
    """A metric of both evaluations on the same samples.

    Attributes:
        first: Values of A.
        second: Values of B.
        draws: Index of the random draw of each sample, if samples share draws.
    """

    first: Column
    second: Column
    draws: Int64[np.ndarray, "n"] | None


def run(config: CompareConfig, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Compare two evaluations, metric by metric, on the samples where both are defined.

    Every metric of both that is a mean over samples is compared. 0/1 metrics have McNemar's exact
    test and Tango's interval. Other metrics have a t test adjusted for skewness, and its interval.
    P-values are corrected for the number of metrics (Holm); intervals are not.

    Returns:
        JSON values: `a`, `b` (folders), `level`, and in `metrics` by name `a`, `b`, `difference`
        (B - A) with `low` and `high` (95 %), `n`, `test`, `p_value`, `p_holm`, and `better`: `a` or
        `b` if `p_holm` is below the level, else None.

    Raises:
        InputError: An evaluation is missing, or they are not of the same images.
        IntegrityError: An artifact is not what was written.
    """
    a, b = read_evaluation(config.a), read_evaluation(config.b)
    _check_same_data(a, b)
    pairs = _paired_columns(a, b, _common(a, b, reporter))
    metrics = {name: _tested(pair) for name, pair in pairs.items()}
    _corrected(metrics)
    return {"a": str(a.path), "b": str(b.path), "level": LEVEL, "metrics": metrics}


def read_evaluation(path: Path) -> FinishedEvaluation:
    """Read the manifest and the results of an evaluation.

    Raises:
        InputError: There is no finished evaluation.
    """
    source = folder.open_folder(path, "evaluation").recipe.source
    if source is None:
        raise InputError(
            str(path),
            expected="an evaluation that names its data set",
            got="none",
            fix="make it with `ectool evaluate`",
        )
    return FinishedEvaluation(path, source, read_results(path))


def _check_same_data(a: FinishedEvaluation, b: FinishedEvaluation) -> None:
    """Check that both are of the same images, in every variant that both have."""
    prints_b = b.results["data"]["variants"]
    for variant, print_a in a.results["data"]["variants"].items():
        print_b = prints_b.get(variant, print_a)
        if print_a != print_b:
            raise InputError(
                str(b.path),
                expected=f"the {variant} images of {a.path}, fingerprint {print_a[:12]}",
                got=print_b[:12],
                fix="evaluate both models on the same --data, --split and --size",
            )


def _common(a: FinishedEvaluation, b: FinishedEvaluation, reporter: Reporter) -> Common:
    """Return the common content of both evaluations."""
    parts = {}
    for file in a.results["parts"]:
        if file in b.results["parts"]:
            first, second = (_manifest(one, file) for one in (a, b))
            if first is not None and second is not None and _were_made_alike(first, second):
                parts[file] = first.kind
            else:
                reporter.note(f"without {file}: made with other options in {a.path} and {b.path}")
    return Common(
        suites=tuple(name for name in a.results["suites"] if name in b.results["suites"]),
        variants=tuple(
            name for name in a.results["data"]["variants"] if name in b.results["data"]["variants"]
        ),
        parts=parts,
        dataset=_images(a, reporter) if HEATMAPS in parts else None,
    )


def _manifest(evaluation: FinishedEvaluation, file: str) -> Manifest | None:
    """Return the manifest of a part.

    Raises:
        IntegrityError: The part is not the one that the results were computed from.
    """
    path = part_of(evaluation.path, evaluation.results, file)
    return None if path is None else read_manifest(path)


def _were_made_alike(a: Manifest, b: Manifest) -> bool:
    """Return whether two artifacts differ only in the model and its options."""
    ignored = set(ModelOptions.model_fields) | {"shard_size", "variants"}
    first, second = (
        {name: value for name, value in manifest.recipe.config.items() if name not in ignored}
        for manifest in (a, b)
    )
    return first == second


def _images(evaluation: FinishedEvaluation, reporter: Reporter) -> Dataset | None:
    """Open the data set, for its annotations; None if it is not available."""
    try:
        return reopen_data(evaluation.source, evaluation.path)
    except InputError as error:
        reporter.note(f"without localization: {error}")
        return None


def _paired_columns(
    a: FinishedEvaluation, b: FinishedEvaluation, common: Common
) -> dict[str, PairedValues]:
    """Return the columns of both evaluations, their samples in one order."""
    with _opened(a, common) as first, _opened(b, common) as second:
        ids, others = first.sample_ids, second.sample_ids
        fix = "evaluate both models on the same samples"
        positions(others, ids, str(a.path), fix)
        order = positions(ids, others, str(b.path), fix)
        left, right = columns(first, common.suites), columns(second, common.suites)
        shared = draws(first, common.suites)
    return {
        name: PairedValues(left[name], right[name][order], shared.get(name))
        for name in left
        if name in right
    }


@contextmanager
def _opened(evaluation: FinishedEvaluation, common: Common) -> Iterator[Evaluated]:
    """Open the common parts of an evaluation."""
    with ExitStack() as stack:
        parts = {
            file: stack.enter_context(Artifact(evaluation.path / file, kind))
            for file, kind in common.parts.items()
        }
        yield Evaluated(
            variants=common.variants,
            parts=parts,
            config=evaluation.results["configuration"],
            classes=(),
            dataset=common.dataset,
        )


def _tested(pair: PairedValues) -> dict[str, Any]:
    """Test the difference of a metric on the samples where both are defined."""
    known = ~(np.isnan(pair.first) | np.isnan(pair.second))
    a, b = pair.first[known], pair.second[known]
    found = paired_comparison(pair.first, pair.second, draws=pair.draws)
    return {
        "a": number(a.mean()) if a.size else None,
        "b": number(b.mean()) if b.size else None,
        "difference": number(found.estimate.value),
        "low": number(found.estimate.low),
        "high": number(found.estimate.high),
        "n": found.estimate.n,
        "test": found.test,
        "p_value": number(found.p_value),
    }


def _corrected(metrics: dict[str, dict[str, Any]]) -> None:
    """Add the corrected p-value of every metric, and the better model."""
    p_values = [entry["p_value"] for entry in metrics.values()]
    corrected = holm(np.array(p_values, np.float64))  # None becomes NaN
    for (name, entry), p_holm in zip(metrics.items(), corrected, strict=True):
        b_is_better = (entry["difference"] or 0) > 0
        if not describe(name).higher_is_better:
            b_is_better = not b_is_better
        entry["p_holm"] = number(p_holm)
        entry["better"] = ("b" if b_is_better else "a") if p_holm < LEVEL else None
