"""Whether heatmaps change when the network forgets what it learned."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ectool.stages.shards import Work
from ectool.stages.suites.base import (
    Columns,
    Evaluated,
    Part,
    Resampling,
    Subject,
    Suite,
    Table,
    mapped,
)
from ectool.stages.suites.heatmap_key import heatmap_key
from ectool.stages.suites.tables import mean_lines

SANITY = "sanity.zarr"


class Condition(NamedTuple):
    """An array of the artifact: `NUMBER-LAYER/MODE/SIMILARITY`, in the order of tables."""

    mode: str
    similarity: str
    number: int
    layer: str
    array: str


def parts(subject: Subject) -> tuple[Part, ...]:
    """Return the likeness to heatmaps of random networks; none of a model without layers."""
    if subject.reference.is_opaque:
        return ()
    options = {**heatmap_key(subject.config), "seed": subject.config.seed}
    return (mapped(SANITY, "sanity", _work, options=options, only_subset=True),)


def _work(subject: Subject) -> Work[Any]:
    from ectool.stages.sanity_work import SanityWork

    return SanityWork(subject.config, subject.model, subject.subset, subject.config.seed)


def columns(evaluated: Evaluated) -> Columns:
    """Return rank correlations with maps of networks without training, wholly or in one block."""
    if not evaluated.has(SANITY):
        return {}
    ranked = [line for line in _conditions(evaluated) if line.similarity == "rank_correlation"]
    cascading, independent = (
        [evaluated.scores(SANITY, line.array) for line in ranked if line.mode == mode]
        for mode in ("cascading", "independent")
    )
    return {
        "sanity_cascading": cascading[-1],
        "sanity_independent": np.mean(independent, axis=0),
    }


def tables(evaluated: Evaluated, resampling: Resampling) -> dict[str, Table]:
    """Return how alike heatmaps still are after each step, from the head to the input."""
    if not evaluated.has(SANITY):
        return {}
    means = (
        (
            {"layer": one.layer, "mode": one.mode, "similarity": one.similarity},
            evaluated.scores(SANITY, one.array),
        )
        for one in _conditions(evaluated)
    )
    return {"sanity": mean_lines(means, resampling)}


def _conditions(evaluated: Evaluated) -> list[Condition]:
    """Return what the artifact holds: mode by mode, from the head to the input."""
    names = [name for name in evaluated.parts[SANITY].arrays if "/" in name]
    found = []
    for name in names:
        block, mode, similarity = name.split("/")
        number, _, layer = block.partition("-")
        found.append(Condition(mode, similarity, int(number), layer, name))
    return sorted(found)


SUITE = Suite(parts, columns, tables=tables)
