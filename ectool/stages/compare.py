"""`compare`: on which metrics two evaluations of the same pictures differ, by paired tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ectool.artifacts import folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import DataSource
from ectool.config import CompareConfig
from ectool.datasets.base import Dataset
from ectool.errors import InputError
from ectool.metrics.catalogue import describe
from ectool.metrics.comparison import holm, mcnemar, paired_bootstrap
from ectool.stages.inputs import positions, reopen_data
from ectool.stages.layout import CHALLENGE, HEATMAPS, PREDICTIONS, WEIGHTS
from ectool.stages.measure import Evaluated, Values, attack_conditions, columns, number
from ectool.types import SILENT, Reporter

LEVEL = 0.05
"""Family-wise error below which a difference counts as more than chance."""
OPTIONAL = {"heatmaps": HEATMAPS, "weights": WEIGHTS, "challenge": CHALLENGE}
ATTACK = ("steps", "restarts")
"""Options that have to agree for robust accuracies to be of one attack."""


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluation, not yet read.

    Attributes:
        path: Its folder.
        config: Options and, as `variants`, fingerprints it was made with.
        source: The original pictures.
    """

    path: Path
    config: Mapping[str, Any]
    source: DataSource

    def has(self, name: str) -> bool:
        """Tell whether an artifact is among those it was measured from."""
        return (self.path / name).exists()


@dataclass(frozen=True)
class Common:
    """What both evaluations have.

    Attributes:
        variants: Background variants.
        attacks: Condition of every attack, by its radius.
        artifacts: File by kind of the artifacts that they were measured from.
        dataset: The original pictures, where objects can be looked for.
    """

    variants: tuple[str, ...]
    attacks: Mapping[str, str]
    artifacts: Mapping[str, str]
    dataset: Dataset | None


def run(config: CompareConfig, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Compare two evaluations, metric by metric, on the samples where both are defined.

    Compared is every metric of both that is a mean over samples. 0/1 metrics are tested by
    McNemar's exact test, the others by the paired bootstrap, which gives every interval; p-values
    are corrected for the number of metrics (Holm).

    Returns:
        JSON values: `a`, `b` (folders), `level`, and in `metrics` by name `a`, `b`, `difference`
        (B - A) with `low` and `high` (95 %), `n`, `test`, `p_value`, `p_holm`, and `better`: `a` or
        `b` where `p_holm` is below the level, else None.

    Raises:
        InputError: An evaluation is missing, or they are not of the same pictures.
        IntegrityError: An artifact is not what was written.
    """
    a, b = read_evaluation(config.a), read_evaluation(config.b)
    _check_same_data(a, b)
    pairs = _paired_columns(a, b, _common(a, b, reporter))
    metrics: dict[str, dict[str, Any]] = {}
    with reporter.task("compare", len(pairs)) as advance:
        for name, (first, second) in pairs.items():
            metrics[name] = _tested(first, second, config)
            advance(1)
    _judge(metrics)
    return {"a": str(a.path), "b": str(b.path), "level": LEVEL, "metrics": metrics}


def read_evaluation(path: Path) -> Evaluation:
    """Read what an evaluation was made of.

    Raises:
        InputError: There is no finished evaluation.
    """
    recipe = folder.open_folder(path, "evaluation").recipe
    if recipe.source is None:
        raise InputError(
            str(path),
            expected="an evaluation that names its data set",
            got="none",
            fix="make it with `ectool evaluate`",
        )
    return Evaluation(path, recipe.config, recipe.source)


def _check_same_data(a: Evaluation, b: Evaluation) -> None:
    """Check that both are of the same pictures, in every variant that both have."""
    for variant, print_a in a.config["variants"].items():
        print_b = b.config["variants"].get(variant, print_a)
        if print_a != print_b:
            raise InputError(
                str(b.path),
                expected=f"the {variant} pictures of {a.path}, fingerprint {print_a[:12]}",
                got=print_b[:12],
                fix="evaluate both models on the same --data, --split and --size",
            )


def _common(a: Evaluation, b: Evaluation, reporter: Reporter) -> Common:
    """Find what both evaluations have."""
    kinds = {k: name for k, name in OPTIONAL.items() if a.has(name) and b.has(name)}
    return Common(
        variants=tuple(name for name in a.config["variants"] if name in b.config["variants"]),
        attacks=_common_attacks(a, b, reporter),
        artifacts={"predictions": PREDICTIONS, **kinds},
        dataset=_pictures(a, reporter) if "heatmaps" in kinds else None,
    )


def _common_attacks(a: Evaluation, b: Evaluation, reporter: Reporter) -> dict[str, str]:
    """Return the attacks of both; none where they were not equally strong."""
    for name in ATTACK:
        if a.config[name] != b.config[name]:
            reporter.note(
                f"without robust accuracy: attacked with --{name} {a.config[name]} in {a.path}, "
                f"{b.config[name]} in {b.path}"
            )
            return {}
    radii = [eps for eps in a.config["eps"] if eps in b.config["eps"]]
    return attack_conditions(radii, a.config["steps"])


def _pictures(evaluation: Evaluation, reporter: Reporter) -> Dataset | None:
    """Open the data set in which objects are looked for; without it there is no localization."""
    try:
        return reopen_data(evaluation.source, evaluation.path)
    except InputError as error:
        reporter.note(f"without localization: {error}")
        return None


def _paired_columns(
    a: Evaluation, b: Evaluation, common: Common
) -> dict[str, tuple[Values, Values]]:
    """Return the columns of both evaluations, their samples in one order."""
    with _opened(a, common) as first, _opened(b, common) as second:
        ids, others = first.predictions.sample_ids, second.predictions.sample_ids
        fix = "evaluate both models on the same samples"
        positions(others, ids, str(a.path), fix)
        order = positions(ids, others, str(b.path), fix)
        left, right = columns(first), columns(second)
    return {name: (left[name], right[name][order]) for name in left if name in right}


@contextmanager
def _opened(evaluation: Evaluation, common: Common) -> Iterator[Evaluated]:
    """Open those artifacts of an evaluation that both have."""
    with ExitStack() as stack:
        made = {
            kind: stack.enter_context(Artifact(evaluation.path / name, kind))
            for kind, name in common.artifacts.items()
        }
        yield Evaluated(
            variants=common.variants, attacks=common.attacks, dataset=common.dataset, **made
        )


def _tested(first: Values, second: Values, config: CompareConfig) -> dict[str, Any]:
    """Test whether a metric differs over the samples where both sides are defined."""
    known = ~(np.isnan(first) | np.isnan(second))
    a, b = first[known], second[known]
    found = paired_bootstrap(a, b, resamples=config.bootstrap, seed=config.seed)
    is_binary = bool(np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all())
    p_value = mcnemar(a == 1, b == 1).p_value if is_binary else found.p_value
    return {
        "a": number(a.mean()) if a.size else None,
        "b": number(b.mean()) if b.size else None,
        "difference": number(found.estimate.value),
        "low": number(found.estimate.low),
        "high": number(found.estimate.high),
        "n": found.estimate.n,
        "test": "McNemar" if is_binary else "bootstrap",
        "p_value": number(p_value),
    }


def _judge(metrics: dict[str, dict[str, Any]]) -> None:
    """Add to every metric its corrected p-value, and who is better by it."""
    p_values = [entry["p_value"] for entry in metrics.values()]
    corrected = holm(np.array(p_values, np.float64))  # None becomes NaN
    for (name, entry), p_holm in zip(metrics.items(), corrected, strict=True):
        b_is_better = (entry["difference"] or 0) > 0
        if not describe(name).higher_is_better:
            b_is_better = not b_is_better
        entry["p_holm"] = number(p_holm)
        entry["better"] = ("b" if b_is_better else "a") if p_holm < LEVEL else None
