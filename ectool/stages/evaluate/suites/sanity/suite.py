"""Sanity suite: agreement of heatmaps with those of randomised networks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

from ectool.metrics.statistics import mean_of_defined
from ectool.stages.common.shards import Work
from ectool.stages.evaluate.suites.base import Columns, Resampling, Suite, Table
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.parts import Part, Subject, heatmap_key, mapped
from ectool.stages.evaluate.suites.tables import mean_lines

SANITY = "sanity.zarr"


class RandomizedLayer(NamedTuple):
    """An array of the artifact: `NUMBER-LAYER/MODE/SIMILARITY`, in the order of tables."""

    mode: str
    similarity: str
    number: int
    layer: str
    array: str


def parts(subject: Subject) -> tuple[Part, ...]:
    """Return the part with all agreements; none for a model without layers."""
    if subject.reference.is_program:
        return ()
    config = subject.config
    options = {**heatmap_key(config), "seed": config.seed, "draws": config.draws}
    return (mapped(SANITY, "sanity", _work, options=options, only_subset=True),)


def _work(subject: Subject) -> Work[Any]:
    from ectool.stages.evaluate.suites.sanity.work import SanityWork

    config = subject.config
    return SanityWork(config, subject.model, subject.subset, config.seed, config.draws)


def columns(evaluated: Evaluated) -> Columns:
    """Return rank correlations after randomising all blocks, and after randomising one.

    The latter is the mean over the blocks whose random weights changed the logits.
    """
    if not evaluated.has(SANITY):
        return {}
    ranked = [
        line for line in _randomized_layers(evaluated) if line.similarity == "rank_correlation"
    ]
    cascading, independent = (
        [evaluated.scores(SANITY, line.array) for line in ranked if line.mode == mode]
        for mode in ("cascading", "independent")
    )
    return {
        "sanity_cascading": cascading[-1],
        "sanity_independent": mean_of_defined(np.stack(independent).T),
    }


def draws(evaluated: Evaluated) -> dict[str, Int64[np.ndarray, "n"]]:
    """Return the index of the draw of random weights of each sample; -1 outside the subset."""
    if not evaluated.has(SANITY):
        return {}
    return dict.fromkeys(("sanity_cascading", "sanity_independent"), _draw(evaluated))


def _draw(evaluated: Evaluated) -> Int64[np.ndarray, "n"]:
    """Return the draws; 0 for parts of earlier versions, which have one draw."""
    if "draw" not in evaluated.parts[SANITY].arrays:
        return np.zeros(len(evaluated.sample_ids), np.int64)
    draw = evaluated.read(SANITY, "draw")
    return np.where(np.isnan(draw), -1, draw).astype(np.int64)


def tables(evaluated: Evaluated, resampling: Resampling) -> dict[str, Table]:  # noqa: ARG001 (protocol)
    """Return the agreement of heatmaps after each step, from the head to the input."""
    if not evaluated.has(SANITY):
        return {}
    means = (
        (
            {"layer": one.layer, "mode": one.mode, "similarity": one.similarity},
            evaluated.scores(SANITY, one.array),
        )
        for one in _randomized_layers(evaluated)
    )
    return {"sanity": mean_lines(means, draw=_draw(evaluated))}


def _randomized_layers(evaluated: Evaluated) -> list[RandomizedLayer]:
    """Return the conditions of the artifact: mode by mode, from the head to the input."""
    names = [name for name in evaluated.parts[SANITY].arrays if "/" in name]
    found = []
    for name in names:
        block, mode, similarity = name.split("/")
        number, _, layer = block.partition("-")
        found.append(RandomizedLayer(mode, similarity, int(number), layer, name))
    return sorted(found)


SUITE = Suite(parts, columns, tables=tables, draws=draws)
