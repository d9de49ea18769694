"""Explanation consistency of image classifiers: measure it, and train with it.

The functions below take arrays, tensors and networks; docs/api.md describes them. The command line
(``ectool --help``) does the same with files. ``import ectool`` imports neither torch nor numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ectool.api.evaluating import evaluate
    from ectool.api.evaluation import Evaluation
    from ectool.api.explaining import explain
    from ectool.api.measuring import consistency
    from ectool.api.models import Model, load, wrap
    from ectool.api.opening import Opened, open
    from ectool.api.perturbing import perturb
    from ectool.api.results import Consistency, Explanation, Samples
    from ectool.api.weighting import weights
    from ectool.errors import EctoolError

    __version__: str

_PLACES = {
    "Consistency": "api.results",
    "EctoolError": "errors",
    "Evaluation": "api.evaluation",
    "Explanation": "api.results",
    "Model": "api.models",
    "Opened": "api.opening",
    "Samples": "api.results",
    "consistency": "api.measuring",
    "evaluate": "api.evaluating",
    "explain": "api.explaining",
    "load": "api.models",
    "open": "api.opening",
    "perturb": "api.perturbing",
    "weights": "api.weighting",
    "wrap": "api.models",
}
"""Module of each public name."""

__all__ = [
    "Consistency",
    "EctoolError",
    "Evaluation",
    "Explanation",
    "Model",
    "Opened",
    "Samples",
    "__version__",
    "consistency",
    "evaluate",
    "explain",
    "load",
    "open",
    "perturb",
    "weights",
    "wrap",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (functions and classes)
    """Import a public name at its first use."""
    if name == "__version__":
        found: object = _version()
    elif name in _PLACES:
        found = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)


def _version() -> str:
    """Return the version of the installed package."""
    from importlib import metadata

    try:
        return metadata.version(__name__)
    except metadata.PackageNotFoundError:  # a copy of the sources that is not installed
        return "unknown"
