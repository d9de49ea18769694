"""Where things lie: file names inside artifacts and experiments, and an experiment's record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

WEIGHTS_FILE = "model.safetensors"
SPEC_FILE = "model.json"
TRAINER_FILE = "trainer.safetensors"
HISTORY_FILE = "history.json"

RESULTS_FILE = "results.json"
PREDICTIONS = "predictions.zarr"
BACKGROUNDS = "backgrounds.zarr"
CHALLENGE = "challenge.zarr"
ATTACKS, CORRUPTIONS, REPLACED = "attacks", "corruptions", "replaced"
"""Folders of an evaluation: an artifact for every attack, corruption, or share of background."""

SAMPLES, HEATMAPS, WEIGHTS = "adv.zarr", "cams.zarr", "weights.zarr"
"""The artifacts of a round, and of an evaluation's measurement of consistency."""
VALIDATION_HEATMAPS = "validation_cams.zarr"
"""Heatmaps of the images that an evaluation's thresholds are tuned on."""

EXPERIMENT_FILE = "experiment.json"


class RunRecord(BaseModel):
    """What one arm with one seed left behind; paths are relative to the experiment's folder.

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
        """Return the same with the paths behind that of the experiment's folder."""
        placed = {
            "model": root / self.model,
            "evaluation": root / self.evaluation,
            "rounds": tuple(root / one for one in self.rounds),
        }
        return self.model_copy(update=placed)


class ExperimentRecord(BaseModel):
    """What `ectool run` records of an experiment, for the report and for other programs.

    Attributes:
        title: Title of the report.
        reference: Arm that the others are compared with.
        epochs: Length of the schedule.
        warmup_epochs: Epochs before the first round.
        every: Epochs between two rounds.
        seeds: Seeds that every arm ran with.
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


RESCALED = "rescaled"
"""How keys name losses of rescaled logits, where the options do not."""
UNMOVED, NO_GRADIENT = "unmoved_samples", "samples_without_gradient"
"""Findings of attacks: samples that stayed as they are, or showed no way."""
FLAT, RANDOM = "samples_with_flat_loss", "samples_with_random_logits"
"""Others: no step changed the loss; the same image got other logits."""
PROBABILITIES = "samples_with_probabilities"
"""Finding of predictions: the model answered with probabilities, which were made logits."""
