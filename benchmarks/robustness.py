"""Measure the robustness suite against bare attack passes, and its strength against peers.

    python -m benchmarks.robustness [--runs N] [--limit N] [--epochs N] [--steps N] [--only JOB]

A robustness curve is PGD at five radii on the test digits, run as `ectool evaluate --suite
robustness` runs it: reading, attack, predictions, artifacts. Bare passes are the same number of
input gradients for the same images, one forward pass of the results, and nothing else. Strength is
the robust accuracy under our attacks, under those of torchattacks with the same steps, and under
its standard AutoAttack. Prints a table; without --only also writes benchmarks/robustness.json.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
import torchattacks

from benchmarks.table import Row, paired, run_jobs, save
from ectool.config import DataOptions, EvaluateConfig, ModelOptions, TrainConfig
from ectool.models.classifier import Classifier, to_pixels
from ectool.stages import evaluate, train
from ectool.stages.common.found_models import find_model
from ectool.stages.common.inputs import open_data
from ectool.stages.common.loaded import loaded_model
from ectool.stages.evaluate.results import read_metrics
from ectool.stages.evaluate.suites.robustness.autoattack import NORMS, Contiguous
from ectool.stages.evaluate.suites.robustness.conditions import conditions
from ectool.stages.perturb.attacker import STEP_SHARE

CURVE = tuple(levels / 255 for levels in (0.5, 1, 2, 4, 8))
RADII = {"linf": (2 / 255, 8 / 255), "l2": (0.5,)}


@dataclass(frozen=True)
class Subject:
    """A trained network, the number of images to attack, and the steps of an attack."""

    folder: Path
    model: Path
    limit: int
    steps: int

    def config(self, name: str, **options: object) -> EvaluateConfig:
        """Return an evaluation with few bootstrap samples and without corruptions."""
        given = {"suite": ("robustness",), "corruptions": (), "bootstrap": 100}
        given |= {"steps": self.steps, "limit": self.limit, "device": "cpu"}
        return EvaluateConfig(
            model=str(self.model), output=self.folder / name, force=True, **{**given, **options}
        )

    @contextmanager
    def opened(self) -> Iterator[tuple[Classifier, torch.Tensor, torch.Tensor]]:
        """Open the network and the images as an evaluation does."""
        options = DataOptions(limit=self.limit)
        dataset, device = open_data(options, "test"), torch.device("cpu")
        rows = np.arange(len(dataset.sample_ids))
        named = ModelOptions(model=str(self.model))
        with loaded_model(find_model(named), named, device, dataset) as model:
            yield model, to_pixels(dataset.images(rows), device), torch.tensor(dataset.labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--only", default="", help="rows whose job begins like this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ectool-bench-") as folder:
        root = Path(folder)
        model = train.run(
            TrainConfig(epochs=options.epochs, output=root / "model", device="cpu")
        ).path
        subject = Subject(root, model, options.limit, options.steps)
        jobs: dict[str, Callable[[], list[Row]]] = {
            "curve": lambda: curve_rows(subject, options.runs),
            "strength": lambda: strength_rows(subject),
        }
        rows = run_jobs(jobs, options.only)
    save(rows, None if options.only else Path(__file__).with_suffix(".json"))


def curve_rows(subject: Subject, runs: int) -> list[Row]:
    """Compare the time of a robustness curve with that of its passes."""
    config = subject.config(
        "curve", attacks=("pgd", "background"), eps=CURVE, eps_l2=(), data="digits", split="test"
    )
    with subject.opened() as (model, pixels, labels):
        with torch.no_grad():
            correct = model(pixels).argmax(1) == labels
        batches = [
            (pixels[first : first + config.batch_size], labels[first : first + config.batch_size])
            for first in range(0, len(labels), config.batch_size)
        ]
        attacked = [
            (images[keep], classes[keep])
            for (images, classes), keep in zip(
                batches, correct.split(config.batch_size), strict=True
            )
        ]
        radii = 2 * len(CURVE)  # on whole images, and on backgrounds

        def bare() -> None:
            for _ in range(radii):
                for images, classes in attacked:
                    passes(model, images, classes, subject.steps)

        numbers = count()

        def ours_anew() -> None:  # a new folder: finished parts would not be computed again
            evaluate.run(config.model_copy(update={"output": subject.folder / f"{next(numbers)}"}))

        ours, reference = paired(ours_anew, bare, runs)
    job = f"PGD-{subject.steps} at {len(CURVE)} radii, whole image and background, digits, smallcnn"
    return [Row(f"{job} / bare passes", ours, reference, "s", ours / reference, "<= 1.1")]


def passes(model: Classifier, images: torch.Tensor, labels: torch.Tensor, steps: int) -> None:
    for _ in range(steps):
        leaf = images.detach().requires_grad_()
        loss = torch.nn.functional.cross_entropy(model(leaf), labels, reduction="sum")
        torch.autograd.grad(loss, leaf)
    with torch.no_grad():
        model(images)


def strength_rows(subject: Subject) -> list[Row]:
    """Compare robust accuracies, in percent, with those of the peer's attacks."""
    attacks = ("pgd", "apgd-ce", "apgd-t")
    options = {"eps": RADII["linf"], "eps_l2": RADII["l2"], "attacks": attacks}
    config = subject.config("strength", **options)
    ours = read_metrics(evaluate.run(config).path)
    rows = []
    with subject.opened() as (model, pixels, labels):
        plain, classes = Contiguous(model), len(model.class_names)
        for condition in conditions(config.keyed()):
            name = f"{condition.base}@{condition.radius}"
            share = 100 * float(str(ours[name]["value"]))
            norm, eps = condition.norm, condition.eps
            theirs = robust(
                peer(plain, condition.attack, norm, eps, subject.steps, classes), pixels, labels
            )
            rows.append(strength(name, "torchattacks", share, theirs, "-0.5 to 0.5"))
            if condition.attack == attacks[-1]:
                ensemble = torchattacks.AutoAttack(
                    plain, NORMS[norm], eps, "standard", classes, seed=0
                )
                worst = 100 * float(str(ours[f"robust_worst@{condition.radius}"]["value"]))
                theirs = robust(ensemble, pixels, labels)
                name = f"robust_worst@{condition.radius}"
                rows.append(strength(name, "AutoAttack", worst, theirs, "<= 0.5"))
    return rows


def peer(
    model: Contiguous, attack: str, norm: str, eps: float, steps: int, classes: int
) -> torchattacks.attack.Attack:
    """Return the attack of torchattacks with the same steps."""
    if attack == "pgd":
        kind = torchattacks.PGD if norm == "linf" else torchattacks.PGDL2
        return kind(model, eps=eps, alpha=STEP_SHARE * eps / steps, steps=steps)
    if attack == "apgd-ce":
        return torchattacks.APGD(model, NORMS[norm], eps, steps)
    return torchattacks.APGDT(model, NORMS[norm], eps, steps, n_classes=classes)


def robust(attack: torchattacks.attack.Attack, pixels: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the percentage of images that are correct before and after an attack."""
    torch.manual_seed(0)
    with torch.no_grad():
        correct = attack.model(pixels).argmax(1) == labels
    classes = labels[correct]
    moved = attack(pixels[correct].contiguous(), classes)
    with torch.no_grad():
        survived = attack.model(moved).argmax(1) == classes
    return 100 * int(survived.sum()) / len(labels)


def strength(name: str, who: str, ours: float, theirs: float, target: str) -> Row:
    return Row(f"{name}, digits: ours - {who}", ours, theirs, "%", ours - theirs, target)


if __name__ == "__main__":
    main()
