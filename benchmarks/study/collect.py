"""Results of a grid: values of every run, intervals over seeds, differences and their tests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.study.grid import STAGES, Grid, merged
from benchmarks.study.job import read_error, read_result
from ectool.errors import InputError
from ectool.metrics.comparison import holm
from ectool.metrics.statistics import mean_interval, paired_difference, t_test_p_value
from ectool.types import Estimate

LOWER_IS_BETTER = {
    *("background_gap", "ece", "nll", "brier", "deletion", "sensitivity_max", "mce"),
    *("accuracy@only_bg_t", "accuracy@no_fg"),
}
PRIMARY = "accuracy@mixed_rand"
"""Metric by which the strongest rival of a cell is found."""
RIVAL = "rival"
"""Stands for the strongest rival of a cell in a pair of arms."""
DIGITS = 5
Values = dict[str, dict[str, dict[int, float]]]
"""Values by arm, metric and seed."""


def collect(grid: Grid, root: Path) -> dict[str, Any]:
    """Return the document of a study: runs, means, differences, cost, versions, what is missing.

    Raises:
        InputError: No job is finished, or finished ones are of several versions of the code.
    """
    jobs = grid.jobs()
    results = [r for job in jobs if (r := read_result(root / job.folder)) and _fits(r, job.digest)]
    _check_versions(root, results)
    names: list[str] = grid.study["metrics"]
    cells = [_cell(grid, cell, results, names) for cell in grid.cells]
    first = results[0]
    return {
        "title": grid.study["title"],
        "cut": grid.study["cut"],
        "commit": sorted({result["commit"] for result in results}),
        "code": first["code"]["shared"],
        "versions": first["versions"],
        "machine": first["machine"],
        "finished": len(results),
        "planned": len(jobs),
        "failed": {
            str(job.folder): error for job in jobs if (error := read_error(root / job.folder))
        },
        "metrics": names,
        "headline": grid.study["headline"],
        "main": grid.study["main"],
        "arms": {name: _arm(grid, name) for name in grid.arms},
        "cells": {cell["name"]: found for cell, found in zip(grid.cells, cells, strict=True)},
    }


def facts(grid: Grid, cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a cell is: data, network, rho and share of the training images."""
    tables = [merged(grid.tables.get(name, {}), cell.get(name, {})) for name in STAGES[:2]]
    data, train = tables
    network = [train["model"].rpartition(":")[2], train.get("interpretable")]
    return {
        "data": data["data"],
        "network": " + ".join(filter(None, network)),
        "rho": data["rho"],
        "fraction": data.get("fraction", 1.0),
    }


def _fits(result: Mapping[str, Any], digest: str) -> bool:
    return bool(result["digest"] == digest)


def _arm(grid: Grid, name: str) -> dict[str, Any]:
    return {"role": grid.arms[name]["role"], "setting": grid.tuned.get(name, {})}


def _check_versions(root: Path, results: Sequence[Mapping[str, Any]]) -> None:
    """Check that all numbers are of one version of the code, and of each objective.

    Raises:
        InputError: There are several versions, or no results.
    """
    found: dict[str, set[str]] = {}
    for result in results:
        found.setdefault("all jobs", set()).add(result["code"]["shared"])
        found.setdefault(result["objective"], set()).add(result["code"]["objective"])
        found.setdefault(f"arm {result['arm']}", set()).add(result["code"]["options"])
        libraries = {k: v for k, v in result["versions"].items() if k != "ectool"}
        found.setdefault("libraries", set()).add(str(sorted(libraries.items())))
    mixed = [name for name, versions in found.items() if len(versions) > 1]
    if mixed or not results:
        raise InputError(
            str(root),
            expected="finished jobs of one version of the code",
            got=f"several versions of {', '.join(mixed)}" if mixed else "none",
            fix="run the grid again, with --replace for jobs of another version",
        )


def _cell(
    grid: Grid, cell: Mapping[str, Any], results: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[str, Any]:
    """Return means, differences and costs of a cell's arms."""
    here = [result for result in results if result["cell"] == cell["name"]]
    values = _values(here, names)
    arms = list(values)
    by_role: dict[str, list[str]] = {}
    for arm in arms:
        by_role.setdefault(grid.arms[arm]["role"], []).append(arm)
    rival = strongest(values, by_role.get("rival", []))
    references = {"erm": next(iter(by_role.get("reference", [])), None), RIVAL: rival}
    compared = {
        key: _compared(values, arms, reference, grid.study["headline"])
        for key, reference in references.items()
        if reference is not None
    }
    return {
        "facts": facts(grid, cell),
        "seeds": cell["seeds"],
        "strongest_rival": rival,
        "contrasts": _contrasts(grid, values, rival),
        "arms": {
            arm: {
                "runs": values[arm],
                "summary": {name: summary(name, values[arm][name]) for name in values[arm]},
                "differences": {key: found[arm] for key, found in compared.items() if arm in found},
                "cost": _cost([result for result in here if result["arm"] == arm]),
            }
            for arm in arms
        },
    }


def _values(results: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Values:
    """Return the values by arm, metric and seed; metrics that no run has are left out."""
    found: Values = {}
    for result in results:
        for name in names:
            value = result["metrics"].get(name)
            if value is not None:
                by_seed = found.setdefault(result["arm"], {}).setdefault(name, {})
                by_seed[result["seed"]] = round(value, DIGITS)
    return found


def strongest(values: Values, arms: Sequence[str]) -> str | None:
    """Return the arm with the highest mean of the primary metric; None without arms."""
    measured = [arm for arm in arms if PRIMARY in values[arm]]
    means = {arm: float(np.mean(list(values[arm][PRIMARY].values()))) for arm in measured}
    return max(means, key=means.__getitem__) if means else None


def summary(name: str, values: Mapping[int, float]) -> dict[str, float | int | None]:
    """Return mean, 95 % t interval and worst value over seeds."""
    runs = np.array(list(values.values()))
    worst = runs.max() if name in LOWER_IS_BETTER else runs.min()
    return {**_numbers(mean_interval(runs)), "worst": float(worst)}


def _numbers(estimate: Estimate) -> dict[str, float | int | None]:
    ends = {"mean": estimate.value, "low": estimate.low, "high": estimate.high}
    finite = {k: round(v, DIGITS) if math.isfinite(v) else None for k, v in ends.items()}
    return {**finite, "n": estimate.n}


def _compared(
    values: Values, arms: Sequence[str], reference: str, headline: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the paired differences of all arms to one; p-values of the headline are corrected.

    Holm's correction is over all headline metrics and all arms of the cell. Other metrics have no
    corrected p-value.
    """
    pairs = {arm: (arm, reference) for arm in arms if arm != reference}
    return _tested(values, pairs, headline)


def _contrasts(grid: Grid, values: Values, rival: str | None) -> dict[str, dict[str, Any]]:
    """Return the paired differences of the pairs of arms in `[study]`, by their names.

    Holm's correction is over all headline metrics and all pairs of the cell.
    """
    named = [(a, rival if b == RIVAL else b) for a, b in grid.study.get("contrasts", [])]
    pairs = {f"{a} − {b}": (a, b) for a, b in named if b is not None and {a, b} <= set(values)}
    return _tested(values, pairs, grid.study["headline"])


def _tested(
    values: Values, pairs: Mapping[str, tuple[str, str]], headline: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return paired differences with p-values, those of the headline corrected over all pairs."""
    found = {
        (pair, name): difference
        for pair, (first, second) in pairs.items()
        for name, difference in _differences(values[first], values[second])
    }
    p_values = {at: t_test_p_value(one, one.n) for at, one in found.items()}
    family = [at for at in found if at[1] in headline]
    corrected = dict(zip(family, holm(np.array([p_values[at] for at in family])), strict=True))
    result: dict[str, dict[str, Any]] = {pair: {} for pair in pairs}
    for (pair, name), one in found.items():
        p_holm = corrected.get((pair, name), math.nan)
        tests = {"p": p_values[pair, name], "p_holm": float(p_holm)}
        kept = {key: round(p, DIGITS) for key, p in tests.items() if math.isfinite(p)}
        result[pair][name] = {**_numbers(one), **kept}
    return result


def _differences(
    first: Mapping[str, Mapping[int, float]], second: Mapping[str, Mapping[int, float]]
) -> Iterator[tuple[str, Estimate]]:
    """Yield each metric with first minus second, paired by seed."""
    for name in first:
        seeds = [seed for seed in first[name] if seed in second.get(name, {})]
        if seeds:
            a, b = (np.array([side[name][seed] for seed in seeds]) for side in (first, second))
            yield name, paired_difference(a, b)


def _cost(results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the mean seconds of a training on one thread, and its passes in millions of images."""
    seconds = [result["seconds"]["train"] for result in results]
    evaluation = [result["seconds"]["evaluate"] for result in results]
    passes = [sum(result["passes"].values()) / 1e6 for result in results]
    return {
        "train_seconds": round(float(np.mean(seconds)), 1),
        "evaluate_seconds": round(float(np.mean(evaluation)), 1),
        "million_passes": round(float(np.mean(passes)), 4),
    }
