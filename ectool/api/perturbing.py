"""`perturb` on images in memory."""

from __future__ import annotations

from typing import Unpack

import numpy as np
import torch

from ectool.api.images import (
    BATCH_SIZE,
    Array,
    Ids,
    batches,
    dataset_of,
)
from ectool.api.models import Model, opened
from ectool.api.options import AttackOptions, configured, named_as_arguments
from ectool.api.results import Samples
from ectool.artifacts.schema import Arrays
from ectool.config import PerturbConfig
from ectool.config.heatmaps import AUTO
from ectool.datasets.image_arrays import ImageArrays
from ectool.models.classifier import Classifier
from ectool.stages.common.layout import AUTO_EPS
from ectool.stages.common.loop.computing import fetched
from ectool.stages.explain.agreement import choose
from ectool.stages.perturb.radius import RadiusSearch
from ectool.stages.perturb.work import PerturbWork


@named_as_arguments
def perturb(
    model: Model,
    images: Array,
    labels: object,
    *,
    method: str = "gradcam",
    objects: object = None,
    seed: int = 0,
    ids: Ids | None = None,
    batch_size: int = BATCH_SIZE,
    **options: Unpack[AttackOptions],
) -> Samples:
    """Perturb the background of images, as `ectool perturb` does.

    The default is five steps of projected gradient ascent in the L-infinity ball of radius 16/255,
    where the heatmap of the label is at or below its median.

    Args:
        model: The model.
        images: uint8 or floats in [0, 1], (n, 3, h, w). Floats are rounded to 256 levels, because
            perturbed images are on that grid.
        labels: True classes (n,); multi-label (n, c) with 1, 0 or -1 (not counted).
        method: Method of the heatmap that selects the background.
        objects: True on the object, (n, h, w), for ``mask="object"``.
        seed: Seed of random starts, target classes, noise and other images.
        ids: Identifiers of the images. Random numbers depend on seed and id, not on the batch.
            Default: their positions.
        batch_size: Images in a forward pass.
        options: Options of the attack, as of `ectool perturb`: ``attack``, ``eps``, ``steps``,
            ``mask``, …

    Returns:
        Perturbed images, backgrounds, and logits of both images.

    Raises:
        InputError: Images, labels or masks are not valid.
        UsageError: An option is out of bounds or does not apply.
    """
    config = attack_of(options, method=method, seed=seed, batch_size=batch_size)
    dataset = dataset_of(images, labels, ids, objects)
    with opened(model, dataset) as (classifier, known):
        arrays, radius = attacked(config, classifier, known)
    place = model.device
    return Samples(
        images=torch.from_numpy(arrays["image"]).to(place),
        background=torch.from_numpy(arrays["background"]).to(place),
        logits_clean=torch.from_numpy(arrays["logits_clean"]).to(place),
        logits_adversarial=torch.from_numpy(arrays["logits_adversarial"]).to(place),
        sample_ids=list(dataset.sample_ids),
        eps=radius,
    )


def attack_of(options: AttackOptions, **fixed: object) -> PerturbConfig:
    """Return the configuration of an attack.

    Raises:
        UsageError: An option is unknown, out of bounds, or does not apply.
    """
    return configured(PerturbConfig, "perturb", options, AttackOptions, model="", **fixed)


def attacked(
    config: PerturbConfig, classifier: Classifier, dataset: ImageArrays
) -> tuple[Arrays, float]:
    """Return the arrays of the samples artifact, and the radius."""
    if config.precision == AUTO:
        found_precision = choose(config, classifier, dataset, "attack").precision
        config = config.model_copy(update={"precision": found_precision})
    if config.eps == "auto":
        found = RadiusSearch(config, classifier, dataset, None).find()
        config = config.model_copy(update={"eps": found[AUTO_EPS]})
    work = PerturbWork(config, classifier, dataset, None)
    rows = batches(len(dataset.sample_ids), config.batch)
    parts = [fetched(work.compute(work.load(part))) for part in rows]
    work.tally.take()
    names = ("image", "background", "logits_clean", "logits_adversarial")
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return arrays, config.radius if work.attacker.kind.bounded else float("nan")
