"""`consistency` on images in memory."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from jaxtyping import UInt8

from ectool.api.images import (
    BATCH_SIZE,
    Array,
    Ids,
    as_bytes,
    batches,
    check_images,
    dataset_of,
)
from ectool.api.models import Model, opened
from ectool.api.options import (
    MethodOptions,
    WeightOptions,
    configured,
    named_as_arguments,
)
from ectool.api.perturbing import attack_of, attacked
from ectool.api.results import Consistency, Samples
from ectool.config import ExplainConfig, ScoreConfig
from ectool.config.measure import ATTACK, SIMILARITY, STABILITY, Similarity, Stability
from ectool.datasets.base import Indices
from ectool.datasets.image_arrays import ImageArrays
from ectool.errors import InputError
from ectool.stages import score
from ectool.stages.common.loop.computing import fetched
from ectool.stages.explain.work import ExplainBatch, ExplainWork


@named_as_arguments
def consistency(
    model: Model,
    images: Array,
    labels: object,
    *,
    perturbed: Samples | Array | None = None,
    method: str = "gradcam",
    similarity: Similarity = SIMILARITY,
    stability: Stability = STABILITY,
    seed: int = 0,
    ids: Ids | None = None,
    batch_size: int = BATCH_SIZE,
    **options: Unpack[MethodOptions],
) -> Consistency:
    """Measure explanation consistency: E = heatmap similarity · prediction stability.

    By default each image is put before the background of another one, drawn from seed and id among
    the images of this call; this is the measure of `ectool evaluate` (docs/validity.md).

    Args:
        model: The model.
        images: uint8 or floats in [0, 1], (n, 3, h, w); floats are rounded to 256 levels.
        labels: True classes (n,); multi-label (n, c) with 1, 0 or -1 (not counted).
        perturbed: Result of :func:`perturb`, or other versions of the images, in the same order.
            Default: the images with other backgrounds.
        method: Method of the heatmaps that are compared.
        similarity: Similarity of both heatmaps.
        stability: Stability of the prediction.
        seed: Seed of the other images.
        ids: Identifiers of the images. Default: their positions.
        batch_size: Images in a forward pass.
        options: Options of the method, as of `ectool explain`.

    Returns:
        E and both factors for each image, as arrays.

    Raises:
        InputError: Images or labels are not valid, there is only one image and no perturbed one, or
            the network has no feature map.
        UsageError: An option is out of bounds or does not apply.
    """
    explaining = configured(
        ExplainConfig, "explain", options, MethodOptions, model="", method=method
    )
    names: dict[str, Any] = {"similarity": similarity, "stability": stability}
    scoring = configured(ScoreConfig, "score", {}, WeightOptions, **names)
    attack = attack_of({}, **ATTACK, seed=seed, batch_size=batch_size)
    dataset = dataset_of(images, labels, ids)
    others = None if perturbed is None else _versions(perturbed, dataset)
    with opened(model, dataset) as (classifier, known):
        if others is None:
            others = attacked(attack, classifier, known)[0]["image"]
        work = ExplainWork(explaining, classifier, known, None)
        parts = [
            score.measure_pairs(scoring, fetched(work.compute(_pairs(known, others, rows))))
            for rows in batches(len(others), batch_size)
        ]
        work.tally.take()
    found = score.joined(parts)
    return Consistency(
        heatmap_similarity=found.similarity,
        prediction_stability=found.stability,
        explanation_consistency=found.explanation_consistency,
        sample_ids=list(dataset.sample_ids),
    )


def _pairs(
    dataset: ImageArrays, others: UInt8[np.ndarray, "n 3 h w"], rows: Indices
) -> ExplainBatch:
    return ExplainBatch(
        sample_ids=[dataset.sample_ids[row] for row in rows],
        labels=dataset.labels[rows],
        clean=dataset.images(rows),
        adversarial=others[rows],
    )


def _versions(perturbed: Samples | Array, dataset: ImageArrays) -> UInt8[np.ndarray, "n 3 h w"]:
    """Return the perturbed images of a caller.

    Raises:
        InputError: They are not valid, or not versions of the images.
    """
    images = perturbed.images if isinstance(perturbed, Samples) else perturbed
    found = as_bytes(check_images(images, "perturbed"))
    shape = (len(dataset.sample_ids), 3, *dataset.size)
    if found.shape != shape:
        raise InputError(
            "perturbed",
            expected=f"a version of each image, shape {shape}",
            got=f"shape {found.shape}",
            fix="perturb the same images",
        )
    return found
