"""Write artifacts of every kind with the code of version 0.1.0.

    git archive 180ac89 | tar -x -C OLD
    PYTHONPATH=OLD python tests/golden/make.py OUTPUT

The weights are a pattern, and no epoch is computed, so that the files compress well;
everything else is what the commands of that version do.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ectool.artifacts.artifact import Artifact
from ectool.config import (
    EvaluateConfig,
    ExplainConfig,
    PerturbConfig,
    ScoreConfig,
    TrainConfig,
)
from ectool.stages import evaluate, explain, perturb, score, train, train_work
from ectool.training.loop import EpochResult

SIDE = 32


def photos(root: Path) -> None:
    """Write a few images of two classes, with one object in each."""
    rows = np.arange(SIDE)
    for split, count in (("train", 3), ("validation", 1), ("test", 3)):
        for label, name in enumerate(("disc", "square")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                image = np.zeros((SIDE, SIDE, 3), np.uint8)
                image[..., 0] = rows * 4 + number * 16
                image[..., 1] = 40 * label
                image[8:24, 8:24, 2] = 200
                Image.fromarray(image).save(folder / f"{number}.png")


def pattern(model: torch.nn.Module) -> None:
    """Set every weight to one of a few numbers."""
    with torch.no_grad():
        for number, value in enumerate(model.parameters()):
            places = torch.arange(value.numel()).remainder(7 + number % 3) - 3
            value.copy_(places.reshape(value.shape) / 16)


def no_epoch(model, optimizer, batches, rate):
    """Leave the weights as they are, and the state of the optimizer at zero."""
    pattern(model)
    for group in optimizer.param_groups:
        for value in group["params"]:
            zeros = torch.zeros_like(value)
            optimizer.state[value] = {"step": torch.tensor(1.0), "exp_avg": zeros}
            optimizer.state[value]["exp_avg_sq"] = zeros.clone()
    return EpochResult(loss=0.5, accuracy=0.75)


def values(path: Path) -> dict[str, object]:
    """Return what the code of that version reads from an artifact."""
    artifact = Artifact(path)
    found = {}
    for name in sorted(artifact.arrays):
        array = artifact.read(name)
        found[name] = (
            array.tolist()
            if array.dtype.kind in "TOU" or array.size < 20
            else {"shape": array.shape, "sum": float(array.astype(np.float64).sum())}
        )
    return {"id": artifact.id, "key": artifact.manifest.key, "arrays": found}


def main(output: Path) -> None:
    """Write everything below a folder."""
    output.mkdir(parents=True)
    photos(output / "photos")
    train_work.train_epoch = no_epoch
    given = {
        "data": f"imagefolder:{output / 'photos'}",
        "size": SIDE,
        "device": "cpu",
        "threads": 1,
    }
    run = output / "run"
    train.run(TrainConfig(**given, epochs=2, until_epoch=1, batch_size=4, output=run / "0/model"))
    for ending in ("zarr", "h5"):
        adv, cams = run / f"1/adv.{ending}", run / f"1/cams.{ending}"
        perturb.run(PerturbConfig(**given, model=str(run / "0/model"), steps=2, output=adv))
        machine = {"device": "cpu", "threads": 1}
        explain.run(ExplainConfig(**machine, model=str(run / "0/model"), samples=adv, output=cams))
        score.run(ScoreConfig(heatmaps=cams, output=run / f"1/weights.{ending}"))
    whole = EvaluateConfig(
        **given, model=str(run / "0/model"), steps=2, bootstrap=100, output=run / "eval"
    )
    evaluate.run(whole)
    found = {
        str(path.relative_to(output)): values(path)
        for ending in ("zarr", "h5")
        for path in sorted(run.rglob(f"*.{ending}"))
    }
    (output / "values.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
