"""Make the explainer of a method, with the options it knows, at one layer or at several."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from ectool.errors import UsageError
from ectool.explainers.base import Explainer, Method
from ectool.explainers.fused_layers import FusedLayers, Fusion
from ectool.models.wrappers import unwrap


def make_explainer(
    name: str,
    method: Method,
    model: nn.Module,
    options: Mapping[str, object],
    fuse: Fusion = "mean",
) -> Explainer:
    """Make an explainer of a classifier.

    Args:
        name: What to call the method in an error.
        method: How it is made.
        model: The classifier, wrappers around it are looked into; with several layers, heatmaps of
            all of them are fused.
        options: What the user asked for, by the names of the method's keyword parameters.
        fuse: How heatmaps of several layers become one.

    Returns:
        The explainer.

    Raises:
        UsageError: The method knows no such option, or draws its maps at no layer where several
            are given.
        InputError: The model is no classifier.
    """
    for option in options:
        if option not in method.options:
            raise UsageError(
                f"--{option}",
                expected=f"an option that --method {name} has",
                got=f"--{option}, which it does not",
                fix="leave it out, or choose another --method (docs/explainers.md)",
            )
    classifier = unwrap(model)
    if not classifier.further_layers:
        return method.make(classifier, **options)
    if method.grid != "layer":
        raise UsageError(
            "--layer",
            expected=f"none for --method {name}, which draws at no layer",
            got=f"{1 + len(classifier.further_layers)} of them",
            fix="leave it out, or choose a method of the CAM family",
        )
    return FusedLayers([method.make(view, **options) for view in classifier.each_layer()], fuse)
