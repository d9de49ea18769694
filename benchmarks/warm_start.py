"""Measure how many steps of the attack a warm start saves at equal attack strength.

    python -m benchmarks.warm_start [--epochs N] [--images N] [--cold N]

As in training: perturb against a network, train on, perturb against the new network. The second
attack starts cold (a random point of the ball) or warm (the first round's samples), with 0 to
`STEPS` steps of one length, and its strength is the mean cross-entropy of the rounded images. The
steps saved are those that a cold start needs more for the same loss, interpolated between steps.
Prints a table and writes benchmarks/warm_start.json.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.table import Row, report
from ectool.artifacts.artifact import Artifact
from ectool.config import PerturbConfig, TrainConfig
from ectool.stages import perturb, train

RESULTS = Path(__file__).with_name("warm_start.json")
STEPS = 8
EPS = 16 / 255
ALPHA = EPS / 2
"""One step length for all, so that steps are comparable: that of five cold steps by default."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--cold", type=int, default=5, help="steps of the first round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder:
        os.environ["ECTOOL_DATA"] = folder
        rows = measure(Path(folder), options.epochs, options.images, options.cold)
    report(rows, RESULTS)


def measure(root: Path, epochs: int, images: int, cold_steps: int) -> list[Row]:
    """Train and perturb twice; compare cold and warm starts in the second round."""
    schedule = {"epochs": epochs + 1, "output": root / "0"}
    model = train.run(TrainConfig(**schedule, until_epoch=epochs)).path
    options = {"limit": images, "eps": EPS, "alpha": ALPHA}
    first = root / "first.zarr"
    perturb.run(PerturbConfig(**options, model=str(model), steps=cold_steps, output=first))
    model = train.run(TrainConfig(epochs=epochs + 1, resume=model, output=root / "1")).path

    def strength(steps: int, init: Path | None) -> float:
        output = root / f"{'cold' if init is None else 'warm'}-{steps}.zarr"
        config = PerturbConfig(
            **options, model=str(model), steps=steps, init=init, output=output, seed=1
        )
        return mean_loss(perturb.run(config).path)

    steps = range(STEPS + 1)
    cold, warm = ([strength(count, init) for count in steps] for init in (None, first))
    return [
        *(
            Row(
                f"loss after {count} steps, warm / cold", warm[count], cold[count], "nats", None, ""
            )
            for count in steps
        ),
        *(
            Row(
                f"cold steps as strong as {count} warm ones (ratio: steps saved)",
                equal := needed(cold, warm[count]),
                float(count),
                "steps",
                equal - count,
                "",
            )
            for count in (0, 1, 2)
        ),
    ]


def mean_loss(samples: Path) -> float:
    """Return the mean cross-entropy of perturbed images."""
    with Artifact(samples, "samples") as artifact:
        logits = torch.from_numpy(artifact.read("logits_adversarial"))
        labels = torch.from_numpy(artifact.read("label"))
    return F.cross_entropy(logits, labels).item()


def needed(losses: list[float], loss: float) -> float:
    """Return the number of steps to a loss, interpolated linearly between steps."""
    rising = np.maximum.accumulate(losses)
    return float(np.interp(loss, rising, np.arange(len(losses)), right=np.nan))


if __name__ == "__main__":
    main()
