"""`evaluate` a model in memory, or one of the command line."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import torch

from ectool.api.classifiers import Size
from ectool.api.evaluation import Evaluation
from ectool.api.images import Ids
from ectool.api.models import Model, held, load
from ectool.api.options import EvaluationOptions, configured, named_as_arguments
from ectool.api.streams import items_of, write_items
from ectool.config import EvaluateConfig
from ectool.models.classifier import Classifier
from ectool.stages.common.found_models import ModelReference
from ectool.stages.evaluate.one_model import evaluate as evaluate_one
from ectool.stages.evaluate.one_model import open_variants
from ectool.stages.evaluate.results import read_results
from ectool.types import SilentReporter

MEMORY = "memory"
"""Kind of a model in memory as a parent of artifacts."""


class Notes(SilentReporter):
    """Keeps notes and warnings, and shows nothing."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def note(self, message: str) -> None:
        """Keep a note."""
        self.found.append(message)

    def warn(self, message: str) -> None:
        """Keep a warning."""
        self.found.append(message)


@named_as_arguments
def evaluate(
    model: Model | str | PathLike[str],
    data: object,
    suites: str | Sequence[str] | None = None,
    *,
    split: str = "test",
    ids: Ids | None = None,
    class_names: Sequence[str] | None = None,
    output: str | PathLike[str] | None = None,
    batch_size: int = 64,
    **options: Unpack[EvaluationOptions],
) -> Evaluation:
    """Measure a model: the metrics of `ectool evaluate`, with 95 % intervals.

    Args:
        model: A model of :func:`ectool.load` or :func:`ectool.wrap`, or the path of an artifact.
        data: A data set of the command line, such as ``"digits"`` or ``"imagefolder:birds"``; or a
            torch `Dataset`, a `DataLoader` or any iterable of (image, label). Images are RGB of one
            square size: (3, h, w) tensors or arrays, uint8 or floats in [0, 1], or PIL images;
            labels are classes, or rows of 0 and 1 for multi-label data.
        suites: Names of the suites. Default: all but ``filters`` (docs/evaluation.md).
        split: Split of a data set of the command line.
        ids: Identifiers of images in memory. Default: their positions.
        class_names: Names of the classes of images in memory, in the order of the labels. Default:
            ``data.classes``, else those of the model.
        output: Folder that keeps the evaluation, so that a later call computes only what is
            missing. Default: nothing is kept.
        batch_size: Images in a forward pass.
        options: Options of `ectool evaluate`: ``eps``, ``attacks``, ``method``, ``subset``, …

    Returns:
        The metrics.

    Raises:
        InputError: Model or data do not exist or do not fit each other.
        UsageError: An option is out of bounds.
        OutputExistsError: ``output`` is of another model or of other images.
    """
    found = load(model) if isinstance(model, str | PathLike) else model
    fixed: dict[str, Any] = {"model": str(found), "split": split, "batch_size": batch_size}
    if suites is not None:
        fixed["suite"] = suites if isinstance(suites, str) else tuple(suites)
    with tempfile.TemporaryDirectory(prefix="ectool-") as name, held(found) as make:
        config = configured(
            EvaluateConfig,
            "evaluate",
            options,
            EvaluationOptions,
            **fixed,
            device=str(found.device),
            output=Path(output or Path(name, "evaluation")),
        )
        uri = data if isinstance(data, str) else _stored(data, ids, class_names, make, Path(name))
        config, notes = config.model_copy(update={"data": uri}), Notes()
        variants = open_variants(config, notes)
        outcome = evaluate_one(config, variants, notes, reference_to(found, make))
        results = read_results(config.output)
    place = Path() if output is None else config.output
    return Evaluation(
        results, place, (*notes.found, *(finding.text for finding in outcome.findings))
    )


def _stored(
    data: object,
    ids: Ids | None,
    class_names: Sequence[str] | None,
    make: Callable[[Size | None], Classifier],
    folder: Path,
) -> str:
    """Write images in memory into a folder, and return them as a data set of the command line."""
    items = items_of(data, ids)
    names = class_names or getattr(data, "classes", None) or make(items.size).class_names
    return f"zarr:{write_items(items, names, folder / 'images.zarr')}"


def reference_to(model: Model, make: Callable[[Size | None], Classifier]) -> ModelReference:
    """Return a reference to the present weights of a model in memory."""
    known = model._reference or ModelReference(Path(MEMORY), MEMORY, "")
    return replace(known, kind=MEMORY, id=f"{MEMORY}:{_digest(model)}", held=make)


def _digest(model: Model) -> str:
    """Return the SHA-256 of weights and settings."""
    digest = hashlib.sha256(model._settings.encode())
    for name, tensor in model.module.state_dict().items():
        digest.update(f"\0{name}\0".encode())
        if isinstance(tensor, torch.Tensor):
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
