"""What the stages' tests share: thirty digits as a folder of images, and a listening reporter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ectool.artifacts import folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.artifacts.schema import Arrays
from ectool.artifacts.store import read_manifest
from ectool.config import DataOptions, EvaluateConfig, ModelOptions
from ectool.datasets.base import Dataset
from ectool.models.classifier import Classifier
from ectool.reports.evaluation import RESULTS_VERSION
from ectool.stages.common.found_models import find_model
from ectool.stages.common.inputs import data_source, open_data
from ectool.stages.common.loaded import loaded_model
from ectool.stages.evaluate.metrics import metrics
from ectool.stages.evaluate.suites.base import Resampling
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.types import Advance

PER_CLASS, SIDE = 3, 32
LENGTH, CLASSES, MAP = 30, 10, 4


class Listener:
    """Remembers what a stage reports."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, int]] = []
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.done = 0

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        self.tasks.append((description, total))
        yield self._advance

    def _advance(self, items: int) -> None:
        self.done += items

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture(scope="session")
def few(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 30 digits, 3 of each class, and their masks."""
    root = tmp_path_factory.mktemp("few")
    digits = open_data(DataOptions(), "validation")
    for label, name in enumerate(digits.classes):
        rows = np.flatnonzero(digits.labels == label)[:PER_CLASS]
        masks = digits.annotations(rows).masks
        assert masks is not None
        for number, (image, mask) in enumerate(zip(digits.images(rows), masks, strict=True)):
            for place, pixels in (
                (root / name, image.transpose(1, 2, 0)),
                (root / "masks" / name, mask.astype(np.uint8) * 255),
            ):
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def bare(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same folder of digits without masks."""
    root = tmp_path_factory.mktemp("bare") / "few"
    shutil.copytree(few, root, ignore=shutil.ignore_patterns("masks"))
    return root


@pytest.fixture(scope="session")
def few_options(few: Path) -> dict[str, Any]:
    """Return the options by which a stage reads all of `few`, on one device."""
    return {"data": f"imagefolder:{few}", "split": "all", "size": SIDE, "device": "cpu"}


@pytest.fixture(scope="session")
def quick_evaluation() -> dict[str, Any]:
    """Return the options of an evaluation that looks at everything but the costly suites."""
    return {
        "suite": ("classification", "debiasing", "robustness", "localization", "stability"),
        **{"attacks": ("pgd",), "steps": 1, "eps_l2": (), "corruptions": (), "bootstrap": 100},
        **{"replaced": (), "explainers": ()},
    }


@pytest.fixture(scope="session")
def few_digits(few: Path, data_root: Path) -> Dataset:
    return open_data(DataOptions(data=f"imagefolder:{few}", size=SIDE), "all")


@pytest.fixture(scope="module")
def network(model: Path, few_digits: Dataset) -> Iterator[Classifier]:
    """Return the model as the stages ask it about `few`."""
    options = ModelOptions(model=str(model))
    with loaded_model(find_model(options), options, torch.device("cpu"), few_digits) as network:
        yield network


@pytest.fixture(scope="session")
def read() -> Callable[[Path], Arrays]:
    """Return a function that reads every array of an artifact."""

    def read_all(path: Path) -> Arrays:
        with Artifact(path) as artifact:
            return {name: artifact.read(name) for name in artifact.arrays}

    return read_all


@pytest.fixture(scope="session")
def write() -> Callable[..., Path]:
    """Return a function that writes arrays as an artifact of ectool's own, in a few shards."""

    def write_all(
        path: Path, kind: str, arrays: Arrays, shard_size: int | None = None, **config: object
    ) -> Path:
        rows = len(arrays["sample_id"])
        recipe = Recipe(kind=kind, stage="test", config=config)
        with growing(path, recipe, length=rows, shard_size=shard_size or -(-rows // 4)) as partial:
            for number, (start, stop) in enumerate(partial.ranges):
                partial.write(number, {n: a[start:stop] for n, a in arrays.items()}, {})
            return partial.publish()

    return write_all


@pytest.fixture(scope="session")
def make_evaluation(
    write: Callable[..., Path], few: Path, few_digits: Dataset
) -> Callable[..., Path]:
    """Return a function that writes an evaluation of `few` by a model of a certain skill."""
    options = DataOptions(data=f"imagefolder:{few}", size=SIDE)
    source = data_source(options, "all", few_digits)

    def evaluation(
        path: Path,
        skill: float,
        seed: int,
        *,
        reverse: bool = False,
        known: Sequence[str] | None = None,
        arrays: tuple[str, ...] = (),
        data: str | None = None,
        fingerprint: str | None = None,
        radii: tuple[str, ...] = ("2/255", "8/255"),
        steps: int = 5,
        **attack: int,
    ) -> Path:
        generator = np.random.default_rng(seed)
        order = slice(None, None, -1) if reverse else slice(None)
        names = np.array(known or few_digits.sample_ids, np.dtypes.StringDType())
        ids, labels = {"sample_id": names[order]}, few_digits.labels[order]
        right = np.eye(CLASSES)[few_digits.labels]

        def predictions(name: str) -> Arrays:
            noise = generator.normal(size=(LENGTH, CLASSES))
            logits = (noise + skill * right)[order].astype("f")
            return {**ids, "label": labels, f"{name}/logits": logits}

        original = predictions("original")
        kinds = {"predictions.zarr": "predictions"}
        write(path / "predictions.zarr", "predictions", original)
        for radius in radii:
            name = f"pgd{steps}-linf-{radius.replace('/', '_')}"
            kinds[f"attacks/{name}.zarr"] = "predictions"
            attacked = predictions(name)
            write(path / f"attacks/{name}.zarr", "predictions", attacked, steps=steps, **attack)
        maps = generator.random((LENGTH, MAP, MAP)).astype(np.float16)[order]
        consistency = (generator.random(LENGTH) * skill / 4).astype("f")
        consistency[3] = np.nan
        own = {
            "cams.zarr": {
                "label": labels,
                "target": labels,
                "clean": maps,
                "logits_clean": original["original/logits"],
            },
            "weights.zarr": {
                "similarity": consistency[order],
                "stability": consistency[order],
                "explanation_consistency": consistency[order],
                "weight": np.ones(LENGTH, "f"),
            },
        }
        for file in arrays:
            kinds[file] = {"cams.zarr": "heatmaps", "weights.zarr": "weights"}[file]
            write(path / file, kinds[file], ids | own[file])
        with Artifact(path / "predictions.zarr") as found:
            evaluated = Evaluated(("original",), {"predictions.zarr": found}, config={}, classes=())
            measured = metrics(evaluated, ("classification",), Resampling(100, 0))
        results = {
            "version": RESULTS_VERSION,
            "metrics": measured,
            "tables": {},
            "data": {"variants": {"original": fingerprint or source.fingerprint}},
            "suites": ["classification", "robustness", "localization", "stability"],
            "parts": {file: read_manifest(path / file).id for file in kinds},
            "configuration": EvaluateConfig(
                model="-", output=path, eps=radii, steps=steps, attacks="pgd", corruptions=()
            ).keyed(),
        }
        (path / "results.json").write_text(json.dumps(results))
        own_source = source.model_copy(update={"data": data or source.data})
        recipe = Recipe(kind="evaluation", stage="evaluate", config={}, source=own_source)
        folder.seal(path, recipe, length=LENGTH)
        return path

    return evaluation
