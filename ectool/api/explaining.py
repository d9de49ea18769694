"""`explain` on images in memory."""

from __future__ import annotations

from typing import Literal, Unpack

import numpy as np
import torch
from torch import Tensor

from ectool.api.images import (
    BATCH_SIZE,
    Array,
    as_array,
    as_pixels,
    batches,
    check_images,
)
from ectool.api.models import Model, classifier_of
from ectool.api.options import (
    MethodOptions,
    configured,
    named_as_arguments,
)
from ectool.api.results import Explanation
from ectool.config import ExplainConfig
from ectool.config.heatmaps import AUTO, Precision
from ectool.errors import InputError, UsageError
from ectool.explainers import upsample
from ectool.models.classifier import Classifier
from ectool.models.precision import in_precision
from ectool.stages.common.loaded import check_finite
from ectool.stages.explain.agreement import SAMPLES, choose_for
from ectool.stages.explain.explainer import explainer_of


@named_as_arguments
def explain(
    model: Model,
    images: Array,
    targets: object = None,
    method: str = "gradcam",
    *,
    resolution: Literal["layer", "pixels"] = "layer",
    batch_size: int = BATCH_SIZE,
    **options: Unpack[MethodOptions],
) -> Explanation:
    """Compute heatmaps.

    Args:
        model: The model.
        images: uint8 or floats in [0, 1], (n, 3, h, w).
        targets: Class to explain: one for all images, one per image (n,), or several per image
            (n, k) with -1 for none. Default: the predicted class.
        method: One of docs/explainers.md, or of an installed package.
        resolution: ``layer`` keeps the resolution of the method; ``pixels`` interpolates to that of
            the images.
        batch_size: Images in a forward pass.
        options: Options of the method, as of `ectool explain`.

    Returns:
        Heatmaps, explained classes and logits.

    Raises:
        InputError: Images or targets are not valid, or the network has no feature map.
        UsageError: There is no such method, or it does not have an option.
    """
    config = configured(ExplainConfig, "explain", options, MethodOptions, model="", method=method)
    if resolution not in ("layer", "pixels"):
        expected, fix = "'layer' or 'pixels'", "choose one of them"
        raise UsageError("resolution", expected=expected, got=repr(resolution), fix=fix)
    checked = check_images(images)
    size = checked.shape[2], checked.shape[3]
    with classifier_of(model, size) as classifier:
        classes = _check_targets(targets, len(checked), len(classifier.class_names))
        first = as_pixels(checked[:SAMPLES], model.device)
        precision = _precision(config, classifier, first, classes)
        explainer = explainer_of(config, in_precision(classifier, precision))
        found: list[Explanation] = []
        for rows in batches(len(checked), batch_size):
            pixels = as_pixels(checked[rows], model.device)
            wanted = None if classes is None else classes[rows].to(model.device)
            made = explainer(pixels, wanted)
            maps = upsample(made.heatmaps, size) if resolution == "pixels" else made.heatmaps
            shown = made.logits.argmax(1) if wanted is None else wanted
            check_finite(made.logits, [f"image {row}" for row in rows])
            found.append(Explanation(maps, shown, made.logits.float()))
    return Explanation(
        *(
            torch.cat([getattr(part, name) for part in found])
            for name in ("heatmaps", "targets", "logits")
        )
    )


def _precision(
    config: ExplainConfig, classifier: Classifier, pixels: Tensor, classes: Tensor | None
) -> Precision:
    """Return the precision; `auto` is chosen by the first images."""
    if config.precision != AUTO:
        return config.decided_precision
    targets = None if classes is None else classes[: len(pixels)].to(pixels.device)
    return choose_for(config, classifier, pixels, targets, "heatmaps").precision


def _check_targets(targets: object, count: int, classes: int) -> Tensor | None:
    """Return the classes to explain as int64 (n,) or (n, k); None for the predicted ones.

    Raises:
        InputError: They are not classes, or there are more or fewer than images.
    """
    if targets is None:
        return None
    found = as_array(targets)
    found = np.repeat(found, count) if found.ndim == 0 else found
    lowest = 0 if found.ndim == 1 else -1
    fits = found.dtype.kind in "iu" and found.ndim in (1, 2) and len(found) == count
    outside = (found < lowest) | (found >= classes) if fits else np.ones(1, bool)
    if not outside.any():
        return torch.tensor(found.astype(np.int64))
    raise InputError(
        "targets",
        expected=f"classes from {lowest} to {classes - 1}, one per image",
        got=str(found[outside][0]) if fits else f"{found.dtype} of shape {found.shape}",
        fix="give the class to explain of each image, or None for the predicted ones",
    )
