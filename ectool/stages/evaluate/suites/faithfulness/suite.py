"""Faithfulness suite: heatmaps of the method, and baselines that do not depend on the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float64

from ectool.config import EvaluateConfig
from ectool.datasets.base import is_multilabel
from ectool.metrics.curves import area_over_curve, area_under_curve, mean_of_curve
from ectool.stages.common.shards import Work
from ectool.stages.evaluate.suites.base import Lack, Resampling, Suite, Table, Values, Variants
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.faithfulness.protocol import FaithfulnessProtocol
from ectool.stages.evaluate.suites.parts import ORIGINAL, Part, Subject, heatmap_key, mapped
from ectool.stages.evaluate.suites.tables import mean_lines

FAITHFULNESS = "faithfulness.zarr"
KINDS = ("method", "random", "centre")
"""Measured heatmaps: those of the method, random ones, a spot at the centre."""
PROTOCOL = FaithfulnessProtocol()
MAX_POINTS = 33
"""Max number of points of a curve in the results; the artifact has all of them."""

Curve = Float64[np.ndarray, "n points"]


def parts(subject: Subject) -> tuple[Part, ...]:
    """Return the part with all curves; none for a model without layers or for multi-label data."""
    if subject.reference.is_program:
        return ()
    if subject.is_multilabel:
        return ()
    config = subject.config
    options = {**heatmap_key(config), **asdict(PROTOCOL), "seed": config.seed}
    if config.curve_tolerance is not None:
        options["curve_tolerance"] = config.curve_tolerance
    return (mapped(FAITHFULNESS, "faithfulness", _work, options=options, only_subset=True),)


def lack(config: EvaluateConfig, variants: Variants) -> Lack | None:  # noqa: ARG001 (protocol)
    """Return that multi-label data have no faithfulness."""
    is_defined = not is_multilabel(variants[ORIGINAL].labels)
    return None if is_defined else Lack("it is defined for one label a sample")


def _work(subject: Subject) -> Work[Any]:
    from ectool.stages.evaluate.suites.faithfulness.work import FaithfulnessWork

    return FaithfulnessWork(subject.config, subject.model, subject.subset, PROTOCOL)


SCORES: dict[str, Callable[[Curve], Values]] = {
    "deletion": area_under_curve,
    "insertion": area_under_curve,
    "pixel_flipping": area_over_curve,
    "road_morf": mean_of_curve,
    "road_lerf": mean_of_curve,
}
"""How each curve becomes one number."""
SINGLE = ("average_drop", "increase_in_confidence")


def columns(evaluated: Evaluated) -> dict[str, Values]:
    """Return every measure of the method's heatmaps, and those of other kinds as `NAME@KIND`."""
    found: dict[str, Values] = {}
    if not evaluated.has(FAITHFULNESS):
        return found
    for kind in KINDS:
        scores = {
            name: score(evaluated.scores(FAITHFULNESS, f"{kind}/{name}"))
            for name, score in SCORES.items()
        }
        scores |= {name: evaluated.scores(FAITHFULNESS, f"{kind}/{name}") for name in SINGLE}
        scores["road"] = scores["road_lerf"] - scores["road_morf"]
        detail = "" if kind == "method" else f"@{kind}"
        found |= {name + detail: values for name, values in scores.items()}
    return found


def tables(evaluated: Evaluated, resampling: Resampling) -> dict[str, Table]:  # noqa: ARG001 (protocol)
    """Return the mean of every curve of every kind of heatmaps, at some of its points."""
    if not evaluated.has(FAITHFULNESS):
        return {}
    return {"faithfulness_curves": mean_lines(_points(evaluated), "share")}


def _points(evaluated: Evaluated) -> Iterator[tuple[dict[str, object], Values]]:
    """Yield some points of every curve, and the value of every sample there."""
    for name, kind in product(SCORES, KINDS):
        curve = evaluated.scores(FAITHFULNESS, f"{kind}/{name}")
        shares = _shares(evaluated, name, curve.shape[1])
        for at in _thinned(len(shares)):
            yield {"curve": name, "maps": kind, "share": shares[at]}, curve[:, at]


def _shares(evaluated: Evaluated, name: str, points: int) -> list[float]:
    """Return the share of the image that is changed at each point of a curve."""
    if name.startswith("road"):
        return list(PROTOCOL.shares)
    steps = points - 1
    if name == "pixel_flipping" and evaluated.dataset is not None:
        steps = PROTOCOL.patches_in(evaluated.dataset.size)
    return [point / steps for point in range(points)]


def _thinned(points: int) -> list[int]:
    """Return the indices of evenly spaced points, including both ends."""
    chosen = np.linspace(0, points - 1, min(points, MAX_POINTS)).round()
    return [int(point) for point in chosen]


SUITE = Suite(parts, columns, tables=tables, lack=lack)
