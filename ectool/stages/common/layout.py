"""File names inside artifacts and experiments, and records of trainings and experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ectool.errors import IntegrityError
from ectool.parsing import first_finding, read_json

WEIGHTS_FILE = "model.safetensors"
SPEC_FILE = "model.json"
TRAINER_FILE = "trainer.safetensors"
HISTORY_FILE = "history.json"
OBJECTIVE_FILE = "objective.safetensors"
"""State of the training objective; missing if it has none."""

RESULTS_FILE = "results.json"
PREDICTIONS = "predictions.zarr"
BACKGROUNDS = "backgrounds.zarr"
CHALLENGE = "challenge.zarr"
ATTACKS, CORRUPTIONS, REPLACED = "attacks", "corruptions", "replaced"
"""Folders of an evaluation: one artifact for every attack, corruption, or share of background."""

SAMPLES, HEATMAPS, WEIGHTS = "adv.zarr", "cams.zarr", "weights.zarr"
"""The artifacts of a round, and of an evaluation's measurement of consistency."""
VALIDATION_HEATMAPS = "validation_cams.zarr"
"""Heatmaps of the images on which thresholds are tuned."""

EXPERIMENT_FILE = "experiment.json"


class RunRecord(BaseModel):
    """Outputs of one arm with one seed; paths are relative to the folder of the experiment.

    Attributes:
        seed: Seed of weights, order and random starts.
        arm: Name of the arm.
        model: Model artifact after the last epoch.
        evaluation: Evaluation folder of that model.
        rounds: Folder of every round of perturb, explain, score and train.
    """

    model_config = ConfigDict(frozen=True)
    seed: int
    arm: str
    model: Path
    evaluation: Path
    rounds: tuple[Path, ...]

    def within(self, root: Path) -> RunRecord:
        """Return the same with paths that begin with the folder of the experiment."""
        placed = {
            "model": root / self.model,
            "evaluation": root / self.evaluation,
            "rounds": tuple(root / one for one in self.rounds),
        }
        return self.model_copy(update=placed)


class ExperimentRecord(BaseModel):
    """Record of an experiment by `ectool run`, for the report and for other programs.

    Attributes:
        title: Title of the report.
        reference: Arm that the others are compared with.
        epochs: Length of the schedule.
        warmup_epochs: Epochs before the first round.
        every: Epochs between two rounds.
        seeds: Seeds of every arm.
        arms: Configuration of each arm.
        runs: Every arm with every seed.
    """

    model_config = ConfigDict(frozen=True)
    title: str
    reference: str
    epochs: int
    warmup_epochs: int
    every: int
    seeds: tuple[int, ...]
    arms: dict[str, dict[str, Any]]
    runs: tuple[RunRecord, ...]


_HISTORY = TypeAdapter(list[dict[str, int | float]], config=ConfigDict(strict=True))


def history_of(file: Path) -> list[dict[str, float]]:
    """Return the history of a training: numbers of each epoch.

    Raises:
        IntegrityError: The file has another content.
    """
    found = read_json(file, kind=IntegrityError, allow_nan=True)
    try:
        history = _HISTORY.validate_python(found)
        if all("epoch" in entry for entry in history):
            return history
        got = "an entry without `epoch`"
    except ValidationError as error:
        got = first_finding(error)
    expected, fix = "the numbers of each epoch", "make the model again"
    raise IntegrityError(str(file), expected=expected, got=got, fix=fix)


RESCALED = "rescaled"
"""Name of losses of rescaled logits in keys; no option has this name."""
UNMOVED, NO_GRADIENT = "unmoved_samples", "samples_without_gradient"
"""Findings of attacks: samples that did not change, or had no gradient."""
MISCLASSIFIED = "misclassified_samples"
"""Finding: samples that are misclassified after the attack."""
AUTO_EPS = "eps"
"""Finding: the radius that `perturb --eps auto` has found."""
AUTO_EPS_SAMPLES, AUTO_EPS_CHANGED = "eps_correct_predictions", "eps_changed_predictions"
"""Findings: number of correct predictions of the search, and the share that changes."""
AUTO_EPS_AT_END = "eps_at_end"
"""Finding: 1 if the radius is the smallest or the largest of the search."""
FLAT, RANDOM = "samples_with_flat_loss", "samples_with_random_logits"
"""Findings of attacks: no step changed the loss; logits of equal images differed."""
PROBABILITIES = "samples_with_probabilities"
"""Finding of predictions: the model returned probabilities, which were converted to logits."""
