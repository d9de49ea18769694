"""`perturb --heatmaps`: the samples and their heatmaps in one pass over the data.

Both artifacts equal those that `perturb` and `explain --samples` write separately, with the same
keys. The key of the heatmaps depends on the content of the samples, which is known only when they
are finished. Until then the heatmaps are written under a draft recipe, which contains the key of
the samples instead.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ectool.artifacts import files
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.jobs.opening import Job
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import PartialArtifact, partial_folder
from ectool.config import DataOptions, ExplainConfig, PerturbConfig
from ectool.datasets.base import Dataset
from ectool.datasets.perturbed_images import sample_attributes
from ectool.distributed.group import joined
from ectool.stages.common.found_models import ModelReference
from ectool.stages.common.inputs import artifact_parent, parent_of
from ectool.stages.common.loop.batch_size import sized
from ectool.stages.common.loop.sharing import shared
from ectool.stages.common.outcomes import outcome_of
from ectool.stages.common.shards import fill
from ectool.stages.explain import command as explain
from ectool.types import Outcome, Reporter, merged

ONLY_PERTURB = {"precision"}
"""Heatmap options with another meaning in `perturb`, where they apply to the steps only."""


def explain_config(config: PerturbConfig, heatmaps: Path) -> ExplainConfig:
    """Return the options of the `explain` call that would write the same heatmaps."""
    names = set(ExplainConfig.model_fields) - set(DataOptions.model_fields) - ONLY_PERTURB
    shared = config.model_dump(include=names - {"split", "samples", "output"})
    return ExplainConfig(**shared, samples=config.output, output=heatmaps)


def covers(config: PerturbConfig, explaining: ExplainConfig) -> bool:
    """Return whether one pass would write the heatmaps that `explaining` describes."""
    return explain_config(config, explaining.output).keyed() == explaining.keyed()


class JointPass:
    """The two artifacts of one pass.

    Args:
        config: Options of `perturb`, with `heatmaps`.
        heatmaps: Path of the heatmaps artifact.
        reference: The model.
        dataset: The clean images.
        recipe: Recipe of the samples.
    """

    def __init__(
        self,
        config: PerturbConfig,
        heatmaps: Path,
        reference: ModelReference,
        dataset: Dataset,
        recipe: Recipe,
    ) -> None:
        self.config = config
        self.explain = explain_config(config, heatmaps)
        data = DataOptions(**config.model_dump(include=set(DataOptions.model_fields)))
        self.inputs = explain.ExplainInputs(reference, data, config.split, dataset)
        self.recipe = recipe
        parent = parent_of("samples", config.output, "samples", recipe.key, heatmaps)
        self.draft = explain.describe(self.explain, self.inputs, parent)

    def is_open(self) -> bool:
        """Return whether the heatmaps can be written, because nothing exists at their path."""
        return not self.explain.output.exists()

    def compute(self, initial: Artifact | None, reporter: Reporter) -> Outcome:
        """Compute and publish both."""
        from ectool.stages.common.loaded import loaded_model, pick_device
        from ectool.stages.perturb.joint_work import OnePassWork
        from ectool.stages.perturb.radius import with_radius
        from ectool.stages.perturb.work import PerturbWork

        dataset = self.inputs.dataset
        config = sized(self.config, dataset.size)
        jobs = self.jobs
        reference, device = self.inputs.reference, pick_device(config)
        with (
            loaded_model(reference, config, device, dataset, config.data, reporter) as model,
            shared(config) as share,
            share.opened(config.output, jobs[0]) as samples,
            share.opened(self.explain.output, jobs[1]) as heatmaps,
        ):
            given = config
            config = share.group.from_first(
                lambda: with_radius(given, model, dataset, initial, samples, reporter)
            )
            work = OnePassWork(PerturbWork(config, model, dataset, initial), self.explain)
            fill(work, (samples, heatmaps), config, reporter, share)
            of_part = share.conclude((samples, heatmaps), lambda: self._publish(samples, heatmaps))
        outputs = config.output, self.explain.output
        return of_part or merged(config.output, (outcome_of(one, is_new=True) for one in outputs))

    def _publish(self, samples: PartialArtifact, heatmaps: PartialArtifact) -> None:
        samples.publish()
        heatmaps.publish(recipe=self.final())

    def complete(self, reporter: Reporter) -> Outcome:
        """Publish heatmaps that are complete but unpublished; otherwise explain the samples."""
        draft, was_open = partial_folder(self.explain.output, self.draft), self.is_open()
        if draft.exists() and self.config.part is None:
            with joined() as group:
                group.from_first(lambda: self._complete_draft(draft))
        outcome = explain.run(self.explain, reporter)
        return replace(outcome, is_new=outcome.is_new or was_open)

    def _complete_draft(self, draft: Path) -> None:
        """Publish heatmaps that only lack this; remove unfinished ones."""
        if self.is_open():
            with self.jobs[1].growing(self.explain.output) as heatmaps:
                if not heatmaps.missing():
                    heatmaps.publish(recipe=self.final())
        files.remove(draft)

    @property
    def jobs(self) -> tuple[Job, Job]:
        """Return what is written: samples and heatmaps."""
        dataset = self.inputs.dataset
        job = Job(
            recipe=self.recipe,
            length=len(dataset.sample_ids),
            shard_size=self.config.shard_size,
            attributes=dict(sample_attributes(dataset, self.config.store)),
        )
        draft = {"recipe": self.draft, "attributes": {}, "is_draft": True}
        return job, job.model_copy(update=draft)

    def final(self) -> Recipe:
        """Return the recipe of the heatmaps, once the samples exist."""
        with Artifact(self.config.output, "samples") as samples:
            parent = artifact_parent("samples", samples, self.explain.output)
        return explain.describe(self.explain, self.inputs, parent)
