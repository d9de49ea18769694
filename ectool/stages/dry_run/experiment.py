"""Plan of `run`: warm-up, rounds, training and evaluation of each arm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ectool.artifacts.manifest import FILE_NAME
from ectool.config import WARMUP_FOLDER, ArmConfig, EvaluateConfig, RunConfig, TrainConfig
from ectool.stages.common.inputs import open_data
from ectool.stages.dry_run.plan import DONE, START, Step, batches_of, document
from ectool.stages.dry_run.sample import Sample, scratch
from ectool.stages.dry_run.stopwatch import Stopwatch
from ectool.stages.evaluate.one_model import open_variants
from ectool.stages.evaluate.suites.parts import ORIGINAL
from ectool.stages.run.arm import EVALUATION, MODEL, Chain
from ectool.stages.run.plan import Experiment, open_experiment
from ectool.types import SILENT

EPOCHS, WARMUP = 3, 0.3
"""Schedule of a timed arm: a warm-up of one epoch, and two rounds; the second one counts."""
ROUND, PART, TRAINED = "round 2 of 2: ", "part ", "train"


@dataclass(frozen=True)
class Planned:
    """An experiment with the numbers of its images.

    Attributes:
        experiment: The experiment.
        sample: The images of a timed arm.
        train: Number of training images.
        test: Number of evaluated images.
        subset: Number of images of the costly suites.
        batch_size: Batch size of the training.
    """

    experiment: Experiment
    sample: Sample
    train: int
    test: int
    subset: int
    batch_size: int

    @property
    def few(self) -> int:
        """Return the subset of a timed evaluation: another number than that of all its images."""
        return max(1, self.sample.limit - 1)

    def timed(self, name: str, arm: ArmConfig) -> Stopwatch:
        """Run an arm with the first seed on the sample."""
        whole, watch = self.experiment, Stopwatch()
        tables = {
            "train": {**whole.document.get("train", {}), "epochs": EPOCHS},
            "evaluate": {**whole.document.get("evaluate", {}), "subset": self.few},
        }
        with scratch() as place:
            short = replace(
                whole,
                config=whole.config.model_copy(update={"warmup": WARMUP, "every": 1}),
                document={**whole.document, **tables},
                folder=place,
                machine={**whole.machine, **self.sample.options},
            )
            Chain(short, whole.config.seeds[0], name, arm, watch).run()
        return watch


def plan_run(config: RunConfig) -> dict[str, Any]:
    """Return the plan of `run`.

    Times are those of one process; several share the cores.
    """
    experiment = open_experiment(config)
    training = experiment.stage(TrainConfig, "train", output=experiment.folder)
    given = {"model": "-", "output": experiment.folder}
    evaluating = experiment.stage(EvaluateConfig, "evaluate", **given)
    images = open_data(training, training.split)
    tested = len(open_variants(evaluating, SILENT)[ORIGINAL].sample_ids)
    planned = Planned(
        experiment,
        Sample.of(images, training.batch_size),
        len(images.sample_ids),
        tested,
        min(evaluating.subset, tested),
        training.batch_size,
    )
    steps = list[Step]()
    for name, arm in experiment.config.arms.items():
        has_warmup = any(step.name == WARMUP_FOLDER for step in steps)
        steps += _steps(planned, name, arm, has_warmup=has_warmup)
    return document(experiment.folder, steps)


def _steps(planned: Planned, name: str, arm: ArmConfig, *, has_warmup: bool) -> Iterator[Step]:
    """Yield the parts of an arm with all seeds."""
    experiment = planned.experiment
    epochs, warmup = experiment.schedule
    bases = [experiment.folder / f"seed-{seed}" for seed in experiment.config.seeds]
    rounds = len(experiment.stops) if arm.reweight == "consistency" else 0
    models = [base / name / str(n) / MODEL for base in bases for n in range(1, rounds + 1)]
    models = models or [base / name / MODEL for base in bases]
    evaluations = [base / name / EVALUATION for base in bases]
    is_left = not all(_is_there(path) for path in (*models, *evaluations))
    watch = planned.timed(name, arm) if is_left else Stopwatch()
    train, in_round, tests = _costs(planned, watch)
    own = epochs if arm.train else epochs - warmup
    if not arm.train and not has_warmup:
        shared = [base / WARMUP_FOLDER / MODEL for base in bases]
        yield _step(planned, WARMUP_FOLDER, shared, warmup, warmup * train)
    if rounds:
        cost = in_round + train * own / rounds
        yield _step(planned, f"{name}: {rounds} rounds", models, own / rounds, cost)
    else:
        yield _step(planned, f"{name}: training", models, own, own * train)
    yield _step(planned, f"{name}: evaluation", evaluations, 0, tests)
    state = "new" if is_left else DONE
    yield Step(f"{name}: {START}", experiment.folder, state, 0, 0, watch.rest() if is_left else 0)


def _costs(planned: Planned, watch: Stopwatch) -> tuple[float, float, float]:
    """Return the seconds of an epoch, of a round without its training, and of an evaluation."""
    train = in_round = tests = 0.0
    for task in watch.tasks:
        if task.name.endswith(TRAINED):
            train = task.per_item * planned.train
        elif task.name.startswith(ROUND):
            in_round += task.per_item * planned.train
        elif task.name.startswith(PART):
            is_subset = task.total == planned.few
            tests += task.per_item * (planned.subset if is_subset else planned.test)
    return train, in_round, tests


def _step(
    planned: Planned, name: str, outputs: Sequence[Path], epochs: float, seconds: float
) -> Step:
    """Return a part with all seeds; finished outputs are not counted.

    Args:
        planned: The experiment.
        name: Name of the part.
        outputs: All its outputs, one for each seed and round.
        epochs: Epochs of training of each.
        seconds: Estimated time of each.
    """
    left = [path for path in outputs if not _is_there(path)]
    done = f"{len(left)} of {len(outputs)} left" if len(left) < len(outputs) else "new"
    images = round(epochs * planned.train) if epochs else planned.test
    count = len(left) * images
    batches = batches_of(count, planned.batch_size)
    output = planned.experiment.folder
    return Step(name, output, done if left else DONE, count, batches, len(left) * seconds)


def _is_there(path: Path) -> bool:
    """Return whether an output exists; its key is checked when the experiment runs."""
    with suppress(OSError):
        return (path / FILE_NAME).exists()
    return False
