"""One job: train, evaluate, keep the numbers, remove what only later stages would read."""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.study.code import commit, objective_version, options_version, shared_version
from benchmarks.study.grid import Job, to_toml
from benchmarks.study.passes import counted
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import library_versions
from ectool.config import EvaluateConfig, RunConfig
from ectool.settings import validate
from ectool.stages import evaluate, run
from ectool.stages.common.layout import (
    EXPERIMENT_FILE,
    HISTORY_FILE,
    RESULTS_FILE,
    WEIGHTS,
    ExperimentRecord,
    RunRecord,
)
from ectool.writing import write_atomic

RESULT = "result.json"
FILE = "experiment.toml"
DIGEST = "digest.txt"
ERROR = "error.txt"
"""Error of the last try, until a try succeeds."""
KEPT = {"results.json", "manifest.json"}
"""Files of an evaluation that are kept; its other parts can be computed again from the model."""


def versions_of(job: Job) -> dict[str, str]:
    """Return the versions of the code that a job needs."""
    (arm,) = job.document["experiment"]["arms"].values()
    return {
        "shared": shared_version(),
        "objective": objective_version(job.objective),
        "options": options_version(arm.get("train", {})),
    }


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return the result of a finished job; None if it is not finished."""
    path = folder / RESULT
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def read_error(folder: Path) -> str | None:
    """Return the last line of a failed job's error; None if it did not fail."""
    path = folder / ERROR
    return path.read_text(encoding="utf-8").strip().splitlines()[-1] if path.exists() else None


def run_job(job: Job, root: Path, device: str = "cpu") -> dict[str, Any]:
    """Run a job, or what is left of it, and return its result.

    A job that was begun with other options is begun again. It computes with one thread.
    """
    folder = root / job.folder
    _begin(job, folder)
    start, cpu = time.perf_counter(), time.process_time()
    with counted() as passes:
        file, output = folder / FILE, folder / "run"
        run.run(
            RunConfig(
                file=file, output=output, device=device, threads=1, report=False, trust_code=True
            )
        )
    record = ExperimentRecord.model_validate_json((output / EXPERIMENT_FILE).read_bytes())
    chain = record.runs[0].within(output)
    trained, trained_cpu = time.perf_counter(), time.process_time()
    metrics = _curves(chain) | _evaluate(job, chain.model, folder, device)
    result = {
        "cell": job.cell,
        "arm": job.arm,
        "seed": job.seed,
        "objective": job.objective,
        "digest": job.digest,
        "code": versions_of(job),
        "commit": commit(),
        "versions": library_versions(),
        "machine": f"{platform.machine()}, {device}",
        "seconds": {
            "train": round(trained_cpu - cpu, 2),
            "train_wall": round(trained - start, 2),
            "evaluate": round(time.process_time() - trained_cpu, 2),
        },
        "passes": {"forward": passes.forward, "backward": passes.backward},
        "metrics": metrics,
    }
    _prune(folder, chain)
    write_atomic(folder / RESULT, (json.dumps(result, indent=1) + "\n").encode())
    return result


def _begin(job: Job, folder: Path) -> None:
    """Write the experiment file, in a new folder if an earlier one is of other options."""
    mark = folder / DIGEST
    if folder.exists() and not (mark.exists() and mark.read_text() == job.digest):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(to_toml(job.document), encoding="utf-8")
    write_atomic(mark, job.digest.encode())


def _curves(chain: RunRecord) -> dict[str, float]:
    """Return the accuracies on validation images after the last epoch."""
    last = json.loads((chain.model / HISTORY_FILE).read_text())[-1]
    return {name: value for name, value in last.items() if name.startswith("validation_")}


def _evaluate(job: Job, model: Path, folder: Path, device: str) -> dict[str, float]:
    """Evaluate the model with every table of options; return all metrics by name."""
    found: dict[str, float] = {}
    for name, table in job.evaluations.items():
        output = folder / name
        values = {"device": device, "threads": 1, **known(table), "model": str(model)}
        evaluate.run(validate(EvaluateConfig, {**values, "output": output}, "evaluate"))
        entries = json.loads((output / RESULTS_FILE).read_text())["metrics"]
        metrics = {key: entry["value"] for key, entry in entries.items()}
        found = {**metrics, **_consistency(output / WEIGHTS), **found}
    return found


def known(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of `evaluate` in a table; `[defaults]` has those of other stages too."""
    return {key: value for key, value in table.items() if key in EvaluateConfig.model_fields}


def _consistency(weights: Path) -> dict[str, float]:
    """Return the means of both factors of explanation consistency, if they were measured."""
    if not weights.exists():
        return {}
    with Artifact(weights, "weights") as artifact:
        names = {"heatmap_similarity": "similarity", "prediction_stability": "stability"}
        return {name: float(np.nanmean(artifact.read(array))) for name, array in names.items()}


def _prune(folder: Path, chain: RunRecord) -> None:
    """Keep the last model, results and histories; remove rounds, heatmaps and predictions."""
    model = folder / "model"
    if model.exists():
        shutil.rmtree(model)
    chain.model.rename(model)
    shutil.rmtree(folder / "run")
    for name in ("eval", "strong"):
        for path in (folder / name).glob("*"):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in KEPT:
                path.unlink()
