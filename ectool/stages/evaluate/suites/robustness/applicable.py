"""Attacks and corruptions that apply to data, and packages that some of them need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import numpy as np

from ectool.config import EvaluateConfig
from ectool.config.evaluation_attacks import EVALUATION_ATTACKS
from ectool.datasets.base import Dataset, is_multilabel
from ectool.errors import InputError
from ectool.stages.evaluate.suites.base import Lack, Variants
from ectool.stages.evaluate.suites.parts import ORIGINAL, Subject
from ectool.stages.evaluate.suites.robustness.conditions import Condition, conditions


def applicable(subject: Subject) -> Iterator[Condition]:
    """Yield the attacks that apply to the data.

    Raises:
        InputError: The package of an attack is not installed.
    """
    for condition in conditions(subject.config.keyed()):
        if not _obstacle(subject.original, condition):
            _check_installed(condition)
            yield condition


def lack(config: EvaluateConfig, variants: Variants) -> Lack | None:
    """Return the attacks and corruptions that do not apply to the data, with the reasons."""
    dataset = variants[ORIGINAL]
    obstacles = {one.attack: _obstacle(dataset, one) for one in conditions(config.keyed())}
    if config.corruptions:
        is_multi = is_multilabel(dataset.labels)
        obstacles["corruptions"] = "they are measured of one label a sample" if is_multi else ""
    missing = {name: reason for name, reason in obstacles.items() if reason}
    if not obstacles:
        return Lack("neither attacks nor corruptions are given")
    if not missing:
        return None
    reason = "; ".join(dict.fromkeys(missing.values()))
    return Lack(reason, ", ".join(missing) if len(missing) < len(obstacles) else "")


def _obstacle(dataset: Dataset, condition: Condition) -> str:
    """Return why an attack does not apply to data; empty if it does."""
    row = condition.row
    if condition.only_background and not _has_objects(dataset):
        return "the images have no object masks or boxes"
    if is_multilabel(dataset.labels) and not row.supports_multilabel:
        return "it does not support multi-label data"
    if len(dataset.classes) < row.min_classes:
        return f"it needs {row.min_classes} classes"
    return ""


def _has_objects(dataset: Dataset) -> bool:
    found = dataset.annotations(np.arange(1))
    return found.masks is not None or found.boxes is not None


def _check_installed(condition: Condition) -> None:
    package = condition.row.package
    if package is not None and find_spec(package) is None:
        raise InputError(
            f"--attacks {condition.attack}",
            expected=f"the package {package}",
            got="none installed",
            fix=f"pip install --no-deps {package}, or leave it out",
        )


def package_key(attacks: Iterable[str]) -> dict[str, str]:
    """Return the versions of the packages that run attacks; not of missing ones."""
    rows = (EVALUATION_ATTACKS[name] for name in attacks)
    found = {}
    for package in (row.package for row in rows if row.package is not None):
        with suppress(PackageNotFoundError):  # computing the part raises
            found[package] = version(package)
    return found
