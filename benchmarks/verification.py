"""Measure the cost of comparing the inputs of a stage with their manifests.

    python -m benchmarks.verification [--runs N]

Every stage runs on the training digits with and without the comparison, in turn, `runs` times each,
from artifacts in the page cache. The ratio of the minima is printed: on a shared machine medians
contain the noise of other programs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ectool.artifacts.checked import Checked
from ectool.config import EvaluateConfig, ExplainConfig, PerturbConfig, ScoreConfig, TrainConfig
from ectool.stages import evaluate, explain, perturb, score, train
from ectool.types import Outcome

EPOCHS, UNTIL = 4, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder:
        os.environ["ECTOOL_DATA"] = folder
        for suffix in ("zarr", "h5"):
            for name, stage in stages(Path(folder) / suffix, suffix).items():
                with_it, without = measured(stage, Path(folder) / "out", runs)
                ratio = with_it / without - 1
                print(f"{name} ({suffix}): {with_it:.3f} s, without {without:.3f} s, {ratio:+.1%}")


def stages(root: Path, suffix: str) -> dict[str, Callable[[Path], Outcome]]:
    """Make the inputs of the stages; return each stage as a function of its output."""
    root.mkdir()
    model = train.run(TrainConfig(epochs=EPOCHS, until_epoch=UNTIL, output=root / "model")).path
    made = {
        "perturb": lambda out: perturb.run(
            PerturbConfig(model=str(model), split="train", output=out.with_suffix(f".{suffix}"))
        )
    }
    samples = made["perturb"](root / "adv").path
    made["explain"] = lambda out: explain.run(
        ExplainConfig(model=str(model), samples=samples, output=out.with_suffix(f".{suffix}"))
    )
    heatmaps = made["explain"](root / "cams").path
    made["score"] = lambda out: score.run(
        ScoreConfig(heatmaps=heatmaps, output=out.with_suffix(f".{suffix}"))
    )
    weights = made["score"](root / "weights").path
    made["train"] = lambda out: train.run(
        TrainConfig(resume=model, weights=weights, samples=samples, output=out)
    )
    made["evaluate"] = lambda out: evaluate.run(EvaluateConfig(model=str(model), output=out))
    return made


def measured(stage: Callable[[Path], Outcome], output: Path, runs: int) -> tuple[float, float]:
    """Return the minimum time of a stage in seconds, with and without the comparison."""
    found: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(2 * runs):
        checks = turn % 2 == 0
        with comparing(checks):
            start = time.perf_counter()
            path = stage(output).path
            found[checks].append(time.perf_counter() - start)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return min(found[True]), min(found[False])


@contextmanager
def comparing(checks: bool) -> Iterator[None]:
    """Switch the comparison on or off while the block runs."""
    is_due, seals = Checked.is_due, Checked.seals
    if not checks:
        Checked.is_due = lambda *_: False  # type: ignore[method-assign]
        Checked.seals = lambda *_: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Checked.is_due, Checked.seals = is_due, seals  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
