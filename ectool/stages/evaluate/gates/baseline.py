"""Differences of a model to the baseline of its gates, on the same images."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ectool.errors import InputError, UsageError
from ectool.input_files import real_path
from ectool.metrics.bounds import LEVEL, Bound, Comparison
from ectool.metrics.comparison import interval_difference, paired_comparison
from ectool.stages.evaluate.definitions import suite_of
from ectool.stages.evaluate.pairs import (
    FinishedEvaluation,
    PairedValues,
    check_same_images,
    common_content,
    images_of,
    opened,
    paired_columns,
    read_evaluation,
)
from ectool.stages.evaluate.suites import SUITES
from ectool.stages.evaluate.suites.base import Resampling
from ectool.types import SILENT, Estimate

CONFIDENCE = 0.95
"""Nominal probability of intervals whose ends are compared with a margin."""


def check_baseline(
    baseline: Path | None, output: Path, bounds: Sequence[Bound], prints: Mapping[str, str]
) -> None:
    """Check a baseline before the model is evaluated.

    Args:
        baseline: Folder of the evaluation, which may be one of an audit that is to be written.
        output: Folder of the evaluation or audit to be written.
        bounds: Bounds to meet.
        prints: Fingerprint of the images, by variant.

    Raises:
        UsageError: The baseline is the output, or no bound needs one.
        InputError: It is missing, of other images, or lacks the metric of a bound.
    """
    if baseline is None:
        return
    if not any(bound.is_relative for bound in bounds):
        raise UsageError(
            "--baseline",
            expected="a bound that needs it",
            got="none",
            fix="add one, such as --require 'accuracy>=baseline-1', or leave out --baseline",
        )
    if real_path(baseline) == real_path(output):
        raise UsageError(
            "--baseline",
            expected="another evaluation than --output",
            got=str(baseline),
            fix="keep the baseline in a folder of its own",
        )
    if real_path(output) in real_path(baseline).parents and not baseline.exists():
        return
    found = read_evaluation(baseline)
    check_same_images(found, prints, output)
    for bound in bounds:
        if bound.is_relative and bound.metric not in found.results["metrics"]:
            raise _not_comparable(bound, found, output)


def comparisons(
    bounds: Sequence[Bound], baseline: FinishedEvaluation, own: FinishedEvaluation
) -> dict[Bound, Comparison]:
    """Return the difference to the baseline for every relative bound.

    Metrics that are means over samples are paired by sample id. Others are compared by their
    intervals, from the lower end minus the baseline's upper one to the upper end minus its lower
    one, which is wider than a paired interval. Intervals of the end `test` have Bonferroni's
    correction for the number of such bounds, so that noise misses one of them with a probability
    of at most 2.5 %.

    Raises:
        InputError: The baseline is of other images or samples, or lacks a metric with the same
            options.
        IntegrityError: An artifact is not what was written.
    """
    relative = [bound for bound in bounds if bound.is_relative]
    if not relative:
        return {}
    check_same_images(baseline, own.results["data"]["variants"], own.path)
    names = {bound.metric for bound in relative}
    suites = {suite_of(name) for name in names}
    common = common_content(baseline, own, SILENT, suites)
    pairs = paired_columns(baseline, own, common)
    others = _estimated(baseline, own, names - pairs.keys())
    tested = 1 - LEVEL / max(1, sum(bound.end == "test" for bound in relative))
    found = {}
    for bound in relative:
        confidence = tested if bound.end == "test" else CONFIDENCE
        if bound.metric in pairs:
            found[bound] = _paired(pairs[bound.metric], confidence)
        elif bound.metric in others:
            found[bound] = _unpaired(*others[bound.metric])
        else:
            raise _not_comparable(bound, baseline, own.path)
    return found


def _paired(pair: PairedValues, confidence: float) -> Comparison:
    """Compare values of the same samples."""
    found = paired_comparison(*pair[:2], draws=pair.draws, confidence=confidence)
    known = ~(np.isnan(pair.first) | np.isnan(pair.second))
    value = float(pair.first[known].mean()) if known.any() else float("nan")
    return Comparison(value, found.estimate, found.test, found.p_value, confidence)


def _unpaired(first: Estimate, second: Estimate) -> Comparison:
    """Compare values that belong to no single sample."""
    difference = interval_difference(first, second)
    return Comparison(first.value, difference, "intervals", float("nan"), CONFIDENCE)


def _estimated(
    baseline: FinishedEvaluation, own: FinishedEvaluation, names: Collection[str]
) -> dict[str, tuple[Estimate, Estimate]]:
    """Return metrics that are not means over samples, of both, from the parts that both have."""
    if not names:
        return {}
    suites = {suite_of(name) for name in names}
    common = common_content(baseline, own, SILENT, suites)
    if common.dataset is None:  # groups and parts of the images are in the data set
        common = replace(common, dataset=images_of(own, SILENT))
    found = []
    for one in (baseline, own):
        options = one.results["configuration"]
        resampling = Resampling(options["bootstrap"], options["seed"])
        with opened(one, common) as evaluated:
            estimates = [SUITES[suite].estimates(evaluated, resampling) for suite in common.suites]
        found.append({n: e for own_estimates in estimates for n, e in own_estimates.items()})
    first, second = found
    return {name: (first[name], second[name]) for name in names if name in first.keys() & second}


def _not_comparable(bound: Bound, baseline: FinishedEvaluation, own: Path) -> InputError:
    """Return the error for a metric that the baseline lacks, or measured with other options."""
    return InputError(
        str(baseline.path),
        expected=f"{bound.metric} with the options of {own}",
        got="none" if bound.metric not in baseline.results["metrics"] else "other options",
        fix="evaluate the baseline with the same --suite and options",
    )
