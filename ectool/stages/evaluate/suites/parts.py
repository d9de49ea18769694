"""Parts of an evaluation: the artifacts that its metrics are computed from.

Parts are in the folder of the evaluation. The key of each holds only what can change it, so that a
further metric, attack or suite computes what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Recipe
from ectool.config import EvaluateConfig, HeatmapOptions, ModelOptions
from ectool.datasets.base import Dataset, is_multilabel
from ectool.datasets.subset import limited
from ectool.distributed.group import ALONE, Group
from ectool.stages.common.found_models import ModelReference, method_key
from ectool.stages.common.inputs import artifact_parent, data_source
from ectool.stages.common.loop.batch_size import sized
from ectool.stages.common.outcomes import outcome_of
from ectool.stages.common.shards import Work, is_done
from ectool.stages.evaluate.growth import keep_or_set_aside, shard_key
from ectool.stages.evaluate.suites.batches import map_batches
from ectool.types import Outcome, Renamed, Reporter

if TYPE_CHECKING:  # importing torch takes seconds, and metrics do not need it
    from ectool.models.classifier import Classifier

ORIGINAL = "original"
MODEL = ModelOptions.model_fields.keys()


@dataclass
class Subject:
    """One model on one split, in every background variant.

    A context manager: the model is loaded at first use and released at the end.

    Attributes:
        config: Options of the evaluation.
        reference: The model.
        variants: The data set in every available background variant.
        reporter: Receives notes.
        group: The processes that share the work.
    """

    config: EvaluateConfig
    reference: ModelReference
    variants: Mapping[str, Dataset]
    reporter: Reporter
    group: Group = ALONE
    _held: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *failure: object) -> None:
        self.__dict__.pop("model", None)
        self._held.close()

    @property
    def original(self) -> Dataset:
        """Return the unchanged images."""
        return self.variants[ORIGINAL]

    @cached_property
    def subset(self) -> Dataset:
        """Return the samples of the costly suites, selected by hash."""
        return limited(self.original, self.config.subset, self.config.seed)

    @property
    def is_multilabel(self) -> bool:
        """Return whether the data are multi-label."""
        return is_multilabel(self.original.labels)

    @cached_property
    def model(self) -> Classifier:
        """Return the model, frozen, its batch normalisations folded."""
        from ectool.stages.common.loaded import loaded_model, pick_device

        config, device = self.config, pick_device(self.config)
        return self._held.enter_context(
            loaded_model(self.reference, config, device, self.original, config.data, self.reporter)
        )

    @contextmanager
    def reporting(self, step: str) -> Iterator[None]:
        """Report the tasks of the block under the name of a step."""
        whole = self.reporter
        self.reporter = Renamed(whole, lambda _: step)
        try:
            yield
        finally:
            self.reporter = whole

    def path(self, file: str) -> Path:
        """Return the path of a part."""
        return self.config.output / file

    def recipe(
        self,
        kind: str,
        output: Path,
        options: Mapping[str, Any],
        *,
        dataset: Dataset | None = None,
        parents: tuple[str, ...] = (),
    ) -> Recipe:
        """Return the recipe of an artifact of the evaluation.

        Args:
            kind: Its schema.
            output: Its path.
            options: Options that change it, in addition to model and data.
            dataset: Its samples. Default: all.
            parents: Files of the parts that it depends on.
        """
        config = self.config
        found = self.reference.parents(output)
        for file in parents:
            with Artifact(self.path(file)) as artifact:
                found.append(artifact_parent(Path(file).stem, artifact, output))
        return Recipe(
            kind=kind,
            stage="evaluate",
            config={n: v for n, v in config.keyed().items() if n in MODEL} | dict(options),
            parents=tuple(found),
            source=data_source(config, config.split, dataset or self.original),
        )


@dataclass(frozen=True)
class Part:
    """An artifact that metrics are computed from.

    Attributes:
        file: Its path inside the evaluation's folder.
        kind: Its schema.
        make: Computes its missing shards at a path.
        title: Its name in progress displays. Default: its file without suffix.
        length: Returns its number of samples, or an upper bound.
        is_shared: Whether `make` is called in every process; otherwise in rank 0 alone.
    """

    file: str
    kind: str
    make: Callable[[Subject, Path], Outcome]
    title: str = ""
    length: Callable[[Subject], int] = lambda subject: len(subject.original.sample_ids)
    is_shared: bool = False

    def made(self, subject: Subject) -> Outcome:
        """Compute what is missing: all processes together, or rank 0 while the others wait."""
        path = subject.path(self.file)
        if self.is_shared:
            return self.make(subject, path)
        return subject.group.from_first(lambda: self.make(subject, path))

    @property
    def name(self) -> str:
        """Return its name in progress displays: the title, or else the file."""
        return self.title or PurePosixPath(self.file).with_suffix("").as_posix().replace("_", " ")


def mapped(
    file: str,
    kind: str,
    work: Callable[[Subject], Work[Any]],
    *,
    options: Mapping[str, Any] = MappingProxyType({}),
    parents: tuple[str, ...] = (),
    only_subset: bool = False,
    chosen: Callable[[Subject], Dataset] | None = None,
    title: str = "",
    most: int | None = None,
) -> Part:
    """Return a part that is computed from images batch by batch.

    Args:
        file: Its path inside the evaluation's folder.
        kind: Its schema.
        work: Returns the work on a batch; called only if shards are missing.
        options: Options that change it, in addition to model and data: JSON values.
        parents: Files of the parts that it depends on, which come before it.
        only_subset: Whether it uses only the samples of costly suites.
        chosen: Returns its samples, if these depend on its parents.
        title: Its name in progress displays. Default: its file without suffix.
        most: Maximum number of its samples, if these depend on its parents.
    """

    def make(subject: Subject, path: Path) -> Outcome:
        dataset = subject.subset if only_subset else subject.original
        if chosen is not None:
            dataset = chosen(subject)
        keyed = {**options, **shard_key(subject.config.shard_size)}
        recipe = subject.recipe(kind, path, keyed, dataset=dataset, parents=parents)
        stage = subject.config.model_copy(update={"output": path})

        def is_made() -> bool:
            keep_or_set_aside(subject, path, recipe, stage.shard_size)
            return is_done(path, stage, recipe, subject.reporter)

        if subject.group.from_first(is_made):
            return outcome_of(path, is_new=False)
        stage = sized(stage, dataset.size)
        length, group = len(dataset.sample_ids), subject.group
        return map_batches(work(subject), stage, recipe, length, subject.reporter, group)

    def length(subject: Subject) -> int:
        count = len((subject.subset if only_subset else subject.original).sample_ids)
        return count if most is None else min(most, count)

    return Part(file, kind, make, title, length, is_shared=True)


def heatmap_key(options: HeatmapOptions) -> dict[str, Any]:
    """Return the options of heatmaps, and the package of the method, as JSON values."""
    keyed = options.keyed()
    names = (name for name in HeatmapOptions.model_fields if name in keyed)
    return {name: keyed[name] for name in names} | method_key(options.method)
