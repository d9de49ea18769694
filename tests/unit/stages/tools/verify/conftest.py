"""A folder as `run` writes it: a round, models, an evaluation, a record and a report; no torch."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ectool.artifacts.folder import seal
from ectool.artifacts.integrity.sealed_documents import sealed, sealed_json
from ectool.artifacts.manifest import Parent, Recipe
from ectool.artifacts.partial import growing
from ectool.artifacts.store import read_manifest
from ectool.stages.common.layout import ExperimentRecord, RunRecord

IDS = np.array(["a", "b", "c"], np.dtypes.StringDType())
LABEL = np.array([0, 1, 0])
LOGITS = np.array([[1, 0], [0, 1], [2, 0]], np.float32)
MAPS = np.arange(12, dtype=np.float16).reshape(3, 2, 2)
ARRAYS = {
    "heatmaps": {
        **{"sample_id": IDS, "label": LABEL, "target": LABEL, "clean": MAPS, "adversarial": MAPS},
        **{"logits_clean": LOGITS, "logits_adversarial": LOGITS},
    },
    "weights": {
        **{"sample_id": IDS, "similarity": LOGITS[:, 0], "stability": LOGITS[:, 0]},
        **{"explanation_consistency": LOGITS[:, 1], "weight": np.ones(3, np.float32)},
    },
    "samples": {
        **{"sample_id": IDS, "label": LABEL, "image": np.zeros((3, 3, 2, 2), np.uint8)},
        **{"background": np.ones((3, 2, 2), bool), "logits_clean": LOGITS},
        "logits_adversarial": LOGITS,
    },
    "predictions": {"sample_id": IDS, "label": LABEL, "original/logits": LOGITS},
}


def arrays(path: Path, kind: str, parents: tuple[Parent, ...] = ()) -> Path:
    """Write an array artifact of two shards."""
    recipe = Recipe(kind=kind, stage="test", config={"seed": 3}, parents=parents)
    with growing(path, recipe, length=3, shard_size=2) as partial:
        for number, (start, stop) in enumerate(partial.ranges):
            partial.write(number, {n: v[start:stop] for n, v in ARRAYS[kind].items()}, {})
        return partial.publish()


def model(path: Path) -> Path:
    """Write a folder with the files of a model."""
    path.mkdir(parents=True)
    for name in ("model.safetensors", "model.json", "trainer.safetensors", "history.json"):
        (path / name).write_text(f"{name}\n")
    seal(path, Recipe(kind="model", stage="train", config={}))
    return path


def evaluation(path: Path) -> Path:
    """Write a folder with the results of an evaluation, and its part."""
    part = read_manifest(arrays(path / "predictions.zarr", "predictions"))
    results = {"schema": "evaluation", "parts": {"predictions.zarr": part.id}}
    (path / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    seal(path, Recipe(kind="evaluation", stage="evaluate", config={}), only=("results.json",))
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an experiment of one round, and other heatmaps in HDF5."""
    root = tmp_path_factory.mktemp("written") / "run"
    one = root / "seed-0/ec/1"
    samples = read_manifest(arrays(one / "adv.zarr", "samples"))
    parent = Parent(role="samples", kind="samples", id=samples.id, path="adv.zarr")
    arrays(one / "cams.zarr", "heatmaps", (parent,))
    arrays(one / "weights.zarr", "weights")
    arrays(root / "more/maps.h5", "heatmaps")
    model(one / "model")
    evaluation(root / "seed-0/ec/eval")
    run = RunRecord(
        seed=0,
        arm="ec",
        model=Path("seed-0/ec/1/model"),
        evaluation=Path("seed-0/ec/eval"),
        rounds=(Path("seed-0/ec/1"),),
    )
    record = ExperimentRecord(
        **{"title": "t", "reference": "ec", "epochs": 1, "warmup_epochs": 0, "every": 1},
        **{"seeds": (0,), "arms": {"ec": {}}, "runs": (run,)},
    )
    (root / "experiment.json").write_bytes(sealed(record.model_dump_json(indent=1)))
    (root / "report.html").write_text("page")
    files = {"report.html": hashlib.sha256(b"page").hexdigest()}
    (root / "report.json").write_bytes(sealed_json({"schema": "report", "files": files}))
    return root


@pytest.fixture
def made(written: Path, tmp_path: Path) -> Path:
    """Return a copy of the experiment, to damage."""
    return Path(shutil.copytree(written, tmp_path / "run"))
