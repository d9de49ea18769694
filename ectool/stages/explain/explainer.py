"""Make the explainer that the options of heatmaps describe."""

from __future__ import annotations

from typing import Any

from ectool.config import HeatmapOptions
from ectool.errors import InputError
from ectool.explainers import EXPLAINERS
from ectool.explainers.base import Explainer, Method
from ectool.explainers.composition import Augmented, make_explainer
from ectool.models.classifier import Classifier
from ectool.stages.common.found_models import method_entry

SHARED = ("passes", "noise", "window", "stride")
"""Options that are passed to the method unchanged, if given."""


def explainer_of(options: HeatmapOptions, model: Classifier) -> Explainer:
    """Make the explainer that the options describe.

    Args:
        options: The method and its options.
        model: The classifier, with all its layers.

    Raises:
        UsageError: The method does not have an option.
        InputError: The package of the method cannot be imported.
    """
    method = find_method(options.method)
    given: dict[str, Any] = {
        name: value for name in SHARED if (value := getattr(options, name)) is not None
    }
    if options.compat is not None:
        given["compat"] = True
    if options.smooth == "eigen":
        given["eigen"] = True
    if "seed" in method.options:
        given["seed"] = options.draw_seed
    explainer = make_explainer(options.method, method, model, given, options.fuse)
    return Augmented(model, explainer) if options.smooth == "aug" else explainer


def find_method(name: str) -> Method:
    """Return a method of ectool or of an installed package.

    Raises:
        InputError: The package cannot be imported.
    """
    if name in EXPLAINERS:
        return EXPLAINERS[name]
    entry = method_entry(name)
    try:
        found = entry.load()
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"--method {name}",
            expected=f"an explainer at {entry.value}",
            got=f"{type(error).__name__}: {error}",
            fix="install the package again, or choose another --method",
        ) from error
    return found if isinstance(found, Method) else Method(found, "own")
