"""Localization suite: overlap of heatmaps with the annotated objects."""

from __future__ import annotations

import numpy as np

from ectool.config import EvaluateConfig
from ectool.metrics.heatmaps import is_zero_map
from ectool.metrics.localization import (
    energy_inside,
    is_difficult,
    mask_iou,
    pointing_game,
    relevance_rank,
)
from ectool.metrics.parts import location_instability_interval, part_distances
from ectool.metrics.statistics import mean_per_sample
from ectool.stages.common.layout import HEATMAPS
from ectool.stages.evaluate.suites.base import Columns, Lack, Resampling, Suite, Variants
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.localization.found_boxes import box_accuracies, validation_parts
from ectool.stages.evaluate.suites.localization.objects import (
    HeatmapBlock,
    blocks,
    first_annotations,
)
from ectool.stages.evaluate.suites.parts import ORIGINAL, Part, Subject
from ectool.stages.evaluate.suites.rounds import heatmap_parts
from ectool.types import Estimate

SCORES = {
    "energy_inside": energy_inside,
    "relevance_rank": relevance_rank,
    "mask_iou": mask_iou,
}


def parts(subject: Subject) -> tuple[Part, ...]:
    """Return the parts with heatmaps, and with heatmaps of validation images for MaxBoxAcc."""
    heatmaps = heatmap_parts(subject)
    return (*heatmaps, *validation_parts(subject)) if heatmaps else ()


def lack(config: EvaluateConfig, variants: Variants) -> Lack | None:  # noqa: ARG001 (protocol)
    """Return what is missing without masks, boxes and parts of the objects."""
    found = first_annotations(variants[ORIGINAL])
    if found.masks is None and found.boxes is None:
        if found.parts is None:
            return Lack("the images have no object masks, boxes or parts")
        return Lack("the images have no object masks or boxes", "all but location_instability")
    return None


def columns(evaluated: Evaluated) -> Columns:
    """Return the localization scores of every sample; empty without annotations.

    Multi-label data: each explained label has its heatmap and its objects; the value of a sample is
    the mean over its labels.
    """
    if not evaluated.has(HEATMAPS) or evaluated.dataset is None:
        return {}
    found = [_scored(block) for block in blocks(evaluated.parts[HEATMAPS], evaluated.dataset)]
    joined = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    joined |= box_accuracies(evaluated)
    return {name: evaluated.ordered(HEATMAPS, score) for name, score in joined.items()}


def _scored(block: HeatmapBlock) -> Columns:
    """Return the scores of the samples of a block."""
    masks, filled = block.masks, block.filled_boxes
    if masks is None:
        return {}
    found = {name: score(block.maps, masks) for name, score in SCORES.items()}
    found["pointing_game"] = pointing_game(block.maps, masks)
    if block.has_other_class is not None:
        is_hard = is_difficult(masks, block.has_other_class)
        found["pointing_game_difficult"] = np.where(is_hard, found["pointing_game"], np.nan)
    if filled is not None:
        found["content_heatmap"] = energy_inside(block.maps, filled)
    found["zero_maps"] = is_zero_map(block.maps).astype(np.float64)
    return {
        name: mean_per_sample(score, block.samples, block.count) for name, score in found.items()
    }


def estimates(evaluated: Evaluated, resampling: Resampling) -> dict[str, Estimate]:
    """Return location instability, if the data set has parts."""
    if not evaluated.has(HEATMAPS) or evaluated.dataset is None or evaluated.is_multilabel:
        return {}
    distances = [
        part_distances(block.maps, block.annotations.parts, block.size)
        for block in blocks(evaluated.parts[HEATMAPS], evaluated.dataset)
        if block.annotations.parts is not None
    ]
    if not distances:
        return {}
    instability = location_instability_interval(
        np.concatenate(distances),
        evaluated.labels,
        resamples=resampling.resamples,
        seed=resampling.seed,
    )
    return {"location_instability": instability}


SUITE = Suite(parts, columns, estimates, lack=lack)
