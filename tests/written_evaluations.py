"""Evaluations and a small experiment in the format of the stages, without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from metric_conditions import condition_of
from PIL import Image

from ectool.artifacts import folder
from ectool.artifacts.manifest import DataSource, Recipe
from ectool.artifacts.partial import growing
from ectool.artifacts.store import read_manifest
from ectool.config import DataOptions
from ectool.reports.evaluation import CONDITION, RESULTS_VERSION
from ectool.stages.common.inputs import data_source, open_data
from ectool.stages.evaluate.definitions import describe, suite_of

CLASSES = ("<script>alert(1)<", 'b" onerror="x')
SIDE, PER_CLASS, MAP = 16, 4, 4
N = PER_CLASS * len(CLASSES)
ACCURACY = {"plain": (0.50, 0.55, 0.60), "weighted": (0.70, 0.74, 0.81)}
GAP = {"plain": (0.30, 0.31, 0.32), "weighted": (0.40, 0.42, 0.41)}
ROBUST = {"plain": (0.20, 0.50, 0.30), "weighted": (0.40, 0.30, 0.50)}
METRICS = {"accuracy@original": ACCURACY, "background_gap": GAP, "robust@2/255": ROBUST}
TABLES = {
    "classes": [
        {"name": name, "accuracy": 0.5, "low": 0.3, "high": 0.7, "n": 4} for name in CLASSES
    ],
    "confusion": [{"label": a, "predicted": b, "n": 2} for a in CLASSES for b in CLASSES],
}


def write_images(root: Path, seed: int = 0) -> None:
    generator = np.random.default_rng(seed)
    for name in CLASSES:
        for split in ("train", "test"):
            target = root / split / name
            target.mkdir(parents=True)
            for number in range(PER_CLASS):
                pixels = generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(target / f"{number} & <i>.png")


def write_array_artifact(path, kind, stage, arrays, source, findings=None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(kind=kind, stage=stage, config={"option": stage}, source=source)
    with growing(path, recipe, length=N, shard_size=3) as partial:
        for number, (start, stop) in enumerate(partial.ranges):
            partial.write(number, {k: v[start:stop] for k, v in arrays.items()}, {})
        partial.publish(findings)


def write_round(path: Path, options: DataOptions, number: int, columns: int = 2) -> None:
    dataset = open_data(options, "train")
    source = data_source(options, "train", dataset)
    generator = np.random.default_rng(number)
    images = dataset.images(np.arange(N))
    moved = images.astype(int) + generator.integers(-2, 3, images.shape)
    logits = generator.normal(size=(N, columns)).astype(np.float32)
    common = {"sample_id": np.array(dataset.sample_ids), "label": dataset.labels}
    samples = {
        **common,
        "image": np.clip(moved, 0, 255).astype(np.uint8),
        "background": np.ones((N, SIDE, SIDE), bool),
        "logits_clean": logits,
        "logits_adversarial": -logits,
    }
    write_array_artifact(path / "adv.zarr", "samples", "perturb", samples, source)
    maps = generator.random((2, N, MAP, MAP)).astype(np.float16)
    heatmaps = {
        **common,
        "target": dataset.labels,
        "clean": maps[0],
        "adversarial": maps[1],
        "logits_clean": logits,
        "logits_adversarial": -logits,
    }
    write_array_artifact(path / "cams.zarr", "heatmaps", "explain", heatmaps, source)
    # The order of the weights is their own: everything must be joined on the sample id.
    consistency = (np.arange(N, dtype=np.float32) + 1) / 10
    consistency[0] = np.nan
    scores = {
        "sample_id": common["sample_id"][::-1],
        "similarity": consistency,
        "stability": np.ones(N, np.float32),
        "explanation_consistency": consistency,
        "weight": np.linspace(0.5, 1.5, N, dtype=np.float32),
    }
    findings = {"effective_sample_size": 7.25, "capped_weights": 1.0, "undefined_similarity": 1.0}
    write_array_artifact(path / "weights.zarr", "weights", "score", scores, source, findings)


def write_model(path: Path, seed: int) -> None:
    path.mkdir(parents=True)
    history = [
        {"epoch": e, "loss": 2.0 / e + seed, "accuracy": e / 10, "validation_original": e / 20}
        for e in range(1, 5)
    ]
    (path / "history.json").write_text(json.dumps(history))
    folder.seal(path, Recipe(kind="model", stage="train", config={"seed": seed, "epochs": 4}))


def write_evaluation(
    path: Path,
    values: Mapping[str, float],
    source: DataSource | None = None,
    parts: Mapping[str, str] | None = None,
) -> None:
    """Write an evaluation of the values by metric; its parts are only named, by id."""
    path.mkdir(parents=True, exist_ok=True)
    metrics = {}
    for name, value in values.items():
        info = describe(name)
        metrics[name] = {
            "suite": suite_of(name),
            "value": value,
            "low": None,
            "high": None,
            "n": 600,
            "label": info.label,
            "definition": info.definition,
            "higher_is_better": info.higher_is_better,
            "is_share": info.is_share,
            **condition_of(name),
        }
    document = {"version": RESULTS_VERSION, "metrics": metrics, "tables": TABLES}
    document |= {"parts": parts or {}, "suites": [], "configuration": {}, "data": {"variants": {}}}
    (path / "results.json").write_text(json.dumps(document))
    recipe = Recipe(kind="evaluation", stage="evaluate", config={"steps": 20}, source=source)
    folder.seal(path, recipe)


def write_as_version_2(path: Path) -> None:
    """Rewrite the results of an evaluation as version 2 had them, under the same recipe."""
    file = path / "results.json"
    document = json.loads(file.read_text())
    tables = document.pop("tables")
    for row in tables.get("confusion", ()):
        row["truth"] = row.pop("label")
    for entry in document["metrics"].values():
        for field in CONDITION:
            entry.pop(field, None)
    file.write_text(json.dumps({**document, "version": 2, **tables}))
    manifest = read_manifest(path)
    folder.seal(path, manifest.recipe, length=manifest.length, only=("results.json",))


def write_audit(path: Path, names: tuple[str, ...], failed: Mapping[str, str]) -> None:
    """Write an audit of equal models, and of models that failed."""
    models = []
    for name in names:
        write_evaluation(path / name, {"accuracy@original": 0.5})
        models.append({"name": name, "status": "ok", "error": None, "evaluation": name})
    for name, error in failed.items():
        models.append({"name": name, "status": "failed", "error": error, "evaluation": None})
    models.append({"name": "later", "status": "pending", "error": None, "evaluation": None})
    document = {"schema": "audit", "version": 1, "models": models}
    (path / "results.json").write_text(json.dumps(document))


def write_experiment(root: Path, options: DataOptions, seeds: tuple[int, ...], rounds: int) -> Path:
    runs = []
    for seed in seeds:
        for arm in ("plain", "weighted"):
            base = root / f"seed-{seed}" / arm
            write_model(base / "model", seed)
            write_evaluation(base / "eval", {name: v[arm][seed] for name, v in METRICS.items()})
            made = rounds if arm == "weighted" else 0
            for number in range(1, made + 1):
                write_round(base / str(number), options, number)
            names = {"model": "model", "evaluation": "eval"}
            paths = {k: str((base / v).relative_to(root)) for k, v in names.items()}
            numbers = [str((base / str(r)).relative_to(root)) for r in range(1, made + 1)]
            runs.append({"seed": seed, "arm": arm, **paths, "rounds": numbers})
    record = {
        "title": "Title <b> & co",
        "reference": "plain",
        "epochs": 4,
        "warmup_epochs": 2,
        "every": 1,
        "seeds": list(seeds),
        "arms": {"plain": {"reweight": "uniform"}, "weighted": {"reweight": "consistency"}},
        "runs": runs,
    }
    (root / "experiment.json").write_text(json.dumps(record))
    return root
