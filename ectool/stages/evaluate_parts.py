"""The artifacts an evaluation is measured from: predictions, heatmaps, weights, challenge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ectool.artifacts.manifest import Recipe
from ectool.config import (
    DataOptions,
    DeviceOptions,
    EvaluateConfig,
    ModelOptions,
    PerturbConfig,
    ScoreConfig,
)
from ectool.datasets.base import Dataset
from ectool.datasets.registry import find_entry
from ectool.errors import InputError
from ectool.stages import perturb, score
from ectool.stages.inputs import ModelReference, data_source, open_data
from ectool.stages.layout import CHALLENGE, HEATMAPS, PREDICTIONS, SAMPLES
from ectool.stages.measure import ORIGINAL, condition_of
from ectool.stages.shards import is_done, map_shards
from ectool.types import Reporter

BACKGROUNDS = "only_bg_t"
PROTOCOL_ATTACK = {"eps": 2 / 255, "steps": 5, "mask": "quantile", "mask_level": 0.5}
PROTOCOL_SCORE = {"similarity": "cosine", "stability": "probability"}
"""How the metric of consistency is measured: fixed, so that models compare however trained."""


@dataclass(frozen=True)
class Parts:
    """Makes the artifacts of an evaluation that are missing.

    Attributes:
        config: Options of the evaluation.
        reference: The model.
        variants: The data set in every background variant that is there.
        reporter: Whom to tell.
    """

    config: EvaluateConfig
    reference: ModelReference
    variants: dict[str, Dataset]
    reporter: Reporter

    def predictions(self) -> Path:
        """Write the predictions of every condition."""
        config, original = self.config, self.variants[ORIGINAL]
        stage = config.model_copy(update={"output": config.output / PREDICTIONS})
        recipe = self.recipe("predictions", stage.output)
        if is_done(stage.output, stage, recipe, self.reporter):
            return stage.output

        from ectool.stages.networks import asked, pick_device
        from ectool.stages.predict_work import PredictWork

        conditions = tuple(condition_of(eps, config.steps) for eps in config.eps)
        groups = find_entry(config.data).groups
        with asked(self.reference, config, pick_device(config), original, groups) as model:
            work = PredictWork(config, model, self.variants, conditions)
            return map_shards(work, stage, recipe, len(original.sample_ids), self.reporter)

    def check_challenge(self) -> None:
        """Check that objects can be pasted on backgrounds.

        Raises:
            InputError: The data set has no object masks, or no pictures of backgrounds.
        """
        masks = self.variants[ORIGINAL].annotations(np.arange(1)).masks
        if masks is None or BACKGROUNDS not in self.variants:
            raise InputError(
                "--challenge",
                expected=f"a data set with object masks and the variant {BACKGROUNDS}",
                got=f"{self.config.data} without",
                fix="leave it out, or unpack what is missing",
            )

    def challenge(self) -> Path:
        """Write which objects are recognised on every background."""
        config, original = self.config, self.variants[ORIGINAL]
        stage = config.model_copy(update={"output": config.output / CHALLENGE})
        recipe = self.recipe("challenge", stage.output)
        if is_done(stage.output, stage, recipe, self.reporter):
            return stage.output
        from ectool.stages.challenge_work import ChallengeWork
        from ectool.stages.networks import asked, pick_device

        groups = find_entry(config.data).groups
        with asked(self.reference, config, pick_device(config), original, groups) as model:
            work = ChallengeWork(model, original, self.variants[BACKGROUNDS], config.batch_size)
            return map_shards(work, stage, recipe, len(original.sample_ids), self.reporter)

    def recipe(self, kind: str, output: Path) -> Recipe:
        """Describe what determines the evaluation, or one of its artifacts."""
        prints = {name: dataset.fingerprint for name, dataset in self.variants.items()}
        return Recipe(
            kind=kind,
            stage="evaluate",
            config={**self.config.keyed(), "variants": prints},
            parents=(self.reference.parent(output),),
            source=data_source(self.config, self.config.split, self.variants[ORIGINAL]),
        )

    def consistency(self) -> tuple[Path, Path]:
        """Run a cold round of perturb, explain and score by the protocol on the same split."""
        config = self.config
        names = {*ModelOptions.model_fields, *DeviceOptions.model_fields, "batch_size"}
        shared = config.model_dump(include={*names, "shard_size", "force", "resume"})
        data = config.model_dump(include=set(DataOptions.model_fields))
        heatmaps = config.output / HEATMAPS
        perturb.run(
            PerturbConfig(
                **shared,
                **data,
                **PROTOCOL_ATTACK,
                split=config.split,
                seed=config.seed,
                output=config.output / SAMPLES,
                heatmaps=heatmaps,
            ),
            self.reporter,
        )
        scoring = ScoreConfig(
            heatmaps=heatmaps, force=config.force, resume=config.resume, **PROTOCOL_SCORE
        )
        return heatmaps, score.run(scoring, self.reporter)


def open_variants(config: EvaluateConfig, reporter: Reporter) -> dict[str, Dataset]:
    """Open every background variant of the split that is there; all show the same samples.

    Raises:
        InputError: The original pictures are missing, or a variant holds other samples.
    """
    original = open_data(config, config.split)
    found = {ORIGINAL: original}
    for name in find_entry(config.data).variants:
        if name == ORIGINAL:
            continue
        try:
            found[name] = open_data(config, config.split, name)
        except InputError as error:
            reporter.note(f"without the variant {name}: {error}")
            continue
        if list(found[name].sample_ids) != list(original.sample_ids):
            raise InputError(
                found[name].name,
                expected=f"the samples of {original.name}",
                got="others",
                fix="unpack both variants anew",
            )
    return found
