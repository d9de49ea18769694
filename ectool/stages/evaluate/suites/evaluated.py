"""The artifacts of an evaluation, joined on their samples, for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from ectool.artifacts.artifact import Artifact
from ectool.datasets.base import Dataset, is_multilabel
from ectool.metrics.classification import is_correct
from ectool.stages.common.layout import PREDICTIONS


@dataclass(frozen=True)
class Evaluated:
    """The artifacts that metrics are computed from.

    Attributes:
        variants: Names of the background variants.
        parts: The artifacts by file, the predictions among them.
        config: Keyed options of the evaluation.
        classes: Names of the classes.
        dataset: The images; None if they are not available.
        baseline: Corruptions of the model that mCE compares with, by file.
    """

    variants: tuple[str, ...]
    parts: Mapping[str, Artifact]
    config: Mapping[str, Any]
    classes: tuple[str, ...]
    dataset: Dataset | None = None
    baseline: Mapping[str, Artifact] = field(default_factory=dict)
    _correct: dict[tuple[str, str], Bool[np.ndarray, "n"]] = field(default_factory=dict, init=False)

    @property
    def predictions(self) -> Artifact:
        """Return the predictions; all columns have their samples and order."""
        return self.parts[PREDICTIONS]

    @cached_property
    def sample_ids(self) -> list[str]:
        """Return the sample ids."""
        return self.predictions.sample_ids

    @cached_property
    def labels(self) -> np.ndarray[Any, Any]:
        """Return the true labels: int64 (n,), or multi-label int8 (n, c)."""
        labels = self.predictions.read("label")
        return labels.astype(np.int8) if is_multilabel(labels) else labels

    @property
    def is_multilabel(self) -> bool:
        """Return whether the data are multi-label."""
        return is_multilabel(self.labels)

    def has(self, file: str) -> bool:
        """Return whether a part exists."""
        return file in self.parts

    def read(self, file: str, array: str) -> np.ndarray[Any, Any]:
        """Return an array of a part, its rows in the order of the predictions.

        Returns:
            NaN for samples that are not in the part; other types become float64 if samples are
            missing.
        """
        return self.ordered(file, self.parts[file].read(array))

    def scores(self, file: str, array: str) -> Float64[np.ndarray, "n *k"]:
        """Return the array of `read` as float64."""
        return self.read(file, array).astype(np.float64)

    def ordered(self, file: str, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return one value or row for each sample of a part in the order of the predictions."""
        artifact = self.parts[file]
        if artifact.sample_ids == self.sample_ids:
            return values
        rows = {name: row for row, name in enumerate(artifact.sample_ids)}
        order = np.array([rows.get(name, -1) for name in self.sample_ids])
        found: np.ndarray[Any, Any] = values[order]
        if (order < 0).any():
            found = found.astype(np.result_type(found.dtype, np.float64), copy=False)
            found[order < 0] = np.nan
        return found

    def logits(self, file: str, condition: str) -> Float[np.ndarray, "n c"]:
        """Return the logits under a condition."""
        return self.read(file, f"{condition}/logits")

    def correct(self, file: str, condition: str) -> Bool[np.ndarray, "n"]:
        """Return which single-label samples are classified correctly under a condition."""
        if (key := (file, condition)) not in self._correct:  # metrics and tables ask for it
            self._correct[key] = is_correct(self.logits(file, condition), self.labels)
        return self._correct[key]
