"""Finding out that nothing is to do: no torch, no second model, not one changed file."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import json, sys
from pathlib import Path
from ectool.config import ExplainConfig, PerturbConfig, ScoreConfig, TrainConfig
from ectool.stages import explain, perturb, score, train
from ectool.stages.tools import inspect

model, samples, heatmaps, weights = sys.argv[1:]
shared = {"model": model, "shard_size": 64}
perturb.run(PerturbConfig(**shared, split="validation", output=samples, batch_size=3))
explain.run(ExplainConfig(**shared, samples=samples, output=heatmaps, threads=1))
shared["precision"] = "auto"
perturb.run(PerturbConfig(**shared, split="validation", output=samples))
explain.run(ExplainConfig(**shared, samples=samples, output=heatmaps))
score.run(ScoreConfig(heatmaps=heatmaps, output=weights))
train.run(TrainConfig(epochs=2, output=model))
inspect.run(inspect.InspectConfig(artifact=weights, verify=True))
heavy = {"torch", "torchvision", "sklearn", "matplotlib"} & sys.modules.keys()
sys.exit(", ".join(sorted(heavy)) or 0)
"""


def stamps(*artifacts):
    files = [path for artifact in artifacts for path in artifact.rglob("*")]
    return {path: path.stat().st_mtime_ns for path in files}


def test_up_to_date_stages_import_nothing_heavy_and_touch_nothing(
    model, samples, heatmaps, tmp_path
):
    from ectool.config import ScoreConfig
    from ectool.stages import score

    weights = score.run(ScoreConfig(heatmaps=heatmaps, output=tmp_path / "weights.zarr")).path
    made = (model, samples, heatmaps, weights)
    before = stamps(*made)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, *map(str, made)],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert stamps(*made) == before
