"""Measure `ectool evaluate --models` against one evaluation per model.

    python -m benchmarks.audit [--models N] [--suite NAMES] [--limit N] [--only JOB]

Networks with random weights, one artifact each, on the test images of `digits`: generated in
memory, and as PNG files, which `--models` decodes only once. One process evaluates the models one
by one, and then all in one call. The default of --suite is short, so that most of the time is
overhead. Memory is that of the process after each model.
Prints a table; without --only also writes benchmarks/audit.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.table import Row, run_jobs, save
from ectool.artifacts import folder
from ectool.artifacts.manifest import Recipe
from ectool.config import DataOptions, EvaluateConfig
from ectool.models.checkpoints.checkpoint import save_weights
from ectool.models.registry import create
from ectool.stages import evaluate
from ectool.stages.common.inputs import open_data
from ectool.stages.common.layout import SPEC_FILE, WEIGHTS_FILE
from ectool.stages.evaluate import many_models as audit
from ectool.types import Advance, SilentReporter

SIDE = 32
SUITE = "classification,debiasing,localization"
WARM = 5
"""Number of models after which memory should not grow."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=40)
    parser.add_argument("--suite", default=SUITE)
    parser.add_argument("--limit", type=int, help="maximum number of images")
    parser.add_argument("--only", default="", help="rows whose job begins like this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as place:
        os.environ["ECTOOL_DATA"] = place
        root = Path(place)
        for seed in range(options.models):
            write_model(root / f"runs/{seed}/model", seed)
        given = {"suite": options.suite, "limit": options.limit, "size": SIDE}
        jobs: dict[str, Callable[[], list[Row]]] = {
            "digits": lambda: rows_of("digits", root, {**given, "data": "digits"}),
            "files": lambda: rows_of("files", root, {**given, "data": write_files(root / "png")}),
        }
        rows = run_jobs(jobs, options.only)
    save(rows, None if options.only else Path(__file__).with_suffix(".json"))


def write_model(output: Path, seed: int) -> None:
    """Write a model artifact with random weights."""
    model = create("smallcnn", tuple("0123456789"), seed=seed, input_size=(SIDE, SIDE))
    recipe = Recipe(kind="model", stage="train", config={"seed": seed})
    with folder.building(output, recipe) as partial:
        partial.store.mkdir()
        save_weights(model, partial.store / WEIGHTS_FILE)
        (partial.store / SPEC_FILE).write_text(json.dumps(model.spec.to_json()))
        partial.publish()


def write_files(place: Path) -> str:
    """Write the test digits as an image folder."""
    digits = open_data(DataOptions(), "test")
    for row, label in enumerate(digits.labels):
        target = place / "test" / digits.classes[label]
        target.mkdir(parents=True, exist_ok=True)
        (image,) = digits.images(np.array([row]))
        Image.fromarray(image.transpose(1, 2, 0)).save(target / f"{row:04d}.png")
    return f"imagefolder:{place}"


class Memory(SilentReporter):
    """Records the memory of the process in MB after every model."""

    def __init__(self) -> None:
        self.megabytes: list[float] = []

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:  # noqa: ARG002 (protocol)
        def advance(_: int) -> None:
            if description == "models":
                self.megabytes.append(resident())

        yield advance


def resident() -> float:
    """Return the memory of this process in MB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def rows_of(job: str, root: Path, given: dict[str, object]) -> list[Row]:
    """Measure time and memory of all models in one call, on one data set."""
    models = sorted((root / "runs").glob("*/model"), key=lambda path: int(path.parent.name))
    first = EvaluateConfig(**given, model=str(models[0]), output=root / job / "warm-up")
    evaluate.run(first)
    start = time.perf_counter()
    for number, model in enumerate(models):
        own = {"model": str(model), "output": root / job / "single" / str(number)}
        evaluate.run(first.model_copy(update=own))
    single = time.perf_counter() - start
    memory = Memory()
    everything = {"models": (f"{root}/runs/*/model",), "output": root / job / "audit"}
    config = EvaluateConfig(**given, **everything)
    start = time.perf_counter()
    audit.run(config, memory)
    together = time.perf_counter() - start
    start = time.perf_counter()
    audit.run(config)
    again = time.perf_counter() - start
    name = f"{job}, {len(models)} models in one call"
    grown = memory.megabytes[-1] - memory.megabytes[min(WARM, len(models)) - 1]
    return [
        Row(f"{name} / one by one", together, single, "s", together / single, "<= 1.05"),
        Row(f"{name}, all up to date", again / len(models) * 1000, None, "ms/model", None, ""),
        Row(f"{name}: growth after model {WARM}", grown, memory.megabytes[-1], "MB", None, "< 20"),
    ]


if __name__ == "__main__":
    main()
