"""Two evaluations of the same images: what both have, sample by sample."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from ectool.artifacts import folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import DataSource, Manifest
from ectool.artifacts.store import read_manifest
from ectool.config import ModelOptions
from ectool.config.evaluate import SUITES
from ectool.datasets.base import Dataset
from ectool.errors import InputError
from ectool.reports.evaluation import RESULTS_VERSION
from ectool.stages.common.inputs import positions, reopen_data
from ectool.stages.common.layout import HEATMAPS, PREDICTIONS
from ectool.stages.evaluate.metrics import columns, draws
from ectool.stages.evaluate.results import part_of, read_results
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.types import Reporter

Column = Float64[np.ndarray, "n"]
COMPARABLE = (2, RESULTS_VERSION)
"""Versions of results whose metrics are read alike."""
LOCALIZATION = "localization"
"""Suite whose metrics need the annotations of the data set."""


@dataclass(frozen=True)
class FinishedEvaluation:
    """A finished evaluation, not yet read.

    Attributes:
        path: Its folder.
        source: The original images.
        results: Content of its `results.json`.
    """

    path: Path
    source: DataSource
    results: Mapping[str, Any]


@dataclass(frozen=True)
class Common:
    """Common content of both evaluations.

    Attributes:
        suites: Suites of both.
        variants: Background variants.
        parts: Schema of the parts with equal options, by file.
        dataset: The original images; None if they are not available.
    """

    suites: tuple[str, ...]
    variants: tuple[str, ...]
    parts: Mapping[str, str]
    dataset: Dataset | None


class PairedValues(NamedTuple):
    """A metric of both evaluations on the same samples.

    Attributes:
        first: Values of A.
        second: Values of B.
        draws: Index of the random draw of each sample, if samples share draws.
    """

    first: Column
    second: Column
    draws: Int64[np.ndarray, "n"] | None


def read_evaluation(path: Path) -> FinishedEvaluation:
    """Read the manifest and the results of an evaluation.

    Raises:
        InputError: There is no finished evaluation.
    """
    source = folder.open_folder(path, "evaluation").recipe.source
    if source is None:
        raise InputError(
            str(path),
            expected="an evaluation that names its data set",
            got="none",
            fix="make it with `ectool evaluate`",
        )
    return FinishedEvaluation(path, source, read_results(path, versions=COMPARABLE))


def check_same_images(a: FinishedEvaluation, prints: Mapping[str, str], b: Path) -> None:
    """Check that both are of the same images, in every variant that both have.

    Args:
        a: An evaluation.
        prints: Fingerprint of the images of the other one, by variant.
        b: Folder of the other one.

    Raises:
        InputError: The images of a variant differ.
    """
    for variant, print_a in a.results["data"]["variants"].items():
        print_b = prints.get(variant, print_a)
        if print_a != print_b:
            raise InputError(
                str(b),
                expected=f"the {variant} images of {a.path}, fingerprint {print_a[:12]}",
                got=print_b[:12],
                fix="evaluate both models on the same --data, --split and --size",
            )


def common_content(
    a: FinishedEvaluation,
    b: FinishedEvaluation,
    reporter: Reporter,
    suites: Collection[str] = SUITES,
) -> Common:
    """Return the common content of both evaluations.

    Args:
        a: An evaluation.
        b: Another one, of the same images.
        reporter: Receives what is left out, and why.
        suites: Suites to consider.

    Raises:
        InputError: They have no predictions in common.
    """
    parts = {}
    for file in a.results["parts"]:
        if file in b.results["parts"]:
            first, second = (_manifest(one, file) for one in (a, b))
            if first is not None and second is not None and _were_made_alike(first, second):
                parts[file] = first.kind
            else:
                reporter.note(f"without {file}: made with other options in {a.path} and {b.path}")
    if PREDICTIONS not in parts:
        raise InputError(
            str(b.path),
            expected=f"{PREDICTIONS}, made as that of {a.path}",
            got="none that both have",
            fix="evaluate both models with the same options",
        )
    return Common(
        suites=tuple(
            name for name in a.results["suites"] if name in b.results["suites"] and name in suites
        ),
        variants=tuple(
            name for name in a.results["data"]["variants"] if name in b.results["data"]["variants"]
        ),
        parts=parts,
        dataset=images_of(a, reporter) if HEATMAPS in parts and LOCALIZATION in suites else None,
    )


def _manifest(evaluation: FinishedEvaluation, file: str) -> Manifest | None:
    """Return the manifest of a part.

    Raises:
        IntegrityError: The part is not the one that the results were computed from.
    """
    path = part_of(evaluation.path, evaluation.results, file)
    return None if path is None else read_manifest(path)


def _were_made_alike(a: Manifest, b: Manifest) -> bool:
    """Return whether two artifacts differ only in the model and its options."""
    ignored = set(ModelOptions.model_fields) | {"shard_size", "variants"}
    first, second = (
        {name: value for name, value in manifest.recipe.config.items() if name not in ignored}
        for manifest in (a, b)
    )
    return first == second


def images_of(evaluation: FinishedEvaluation, reporter: Reporter) -> Dataset | None:
    """Open the data set, for its annotations; None if it is not available."""
    try:
        return reopen_data(evaluation.source, evaluation.path)
    except InputError as error:
        reporter.note(f"without localization: {error}")
        return None


def paired_columns(
    a: FinishedEvaluation, b: FinishedEvaluation, common: Common
) -> dict[str, PairedValues]:
    """Return the columns of both evaluations, their samples in one order."""
    with opened(a, common) as first, opened(b, common) as second:
        ids, others = first.sample_ids, second.sample_ids
        fix = "evaluate both models on the same samples"
        positions(others, ids, str(a.path), fix)
        order = positions(ids, others, str(b.path), fix)
        left, right = columns(first, common.suites), columns(second, common.suites)
        shared = draws(first, common.suites)
    return {
        name: PairedValues(left[name], right[name][order], shared.get(name))
        for name in left
        if name in right
    }


@contextmanager
def opened(evaluation: FinishedEvaluation, common: Common) -> Iterator[Evaluated]:
    """Open the common parts of an evaluation."""
    with ExitStack() as stack:
        parts = {
            file: stack.enter_context(Artifact(evaluation.path / file, kind))
            for file, kind in common.parts.items()
        }
        yield Evaluated(
            variants=common.variants,
            parts=parts,
            config=evaluation.results["configuration"],
            classes=(),
            dataset=common.dataset,
        )
