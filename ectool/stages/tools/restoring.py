"""`convert --store`: perturbed images of samples as they are, or as differences to the data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ectool import urls
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Manifest
from ectool.artifacts.partial import growing, up_to_date
from ectool.artifacts.schema import Arrays, spec_of
from ectool.artifacts.versions import record_machine
from ectool.config import ConvertConfig
from ectool.config.perturb import IMAGES
from ectool.datasets.base import Indices
from ectool.datasets.perturbed_images import (
    DIFFERENCE,
    IMAGE,
    PerturbedImages,
    sample_attributes,
    stored,
)
from ectool.errors import InputError
from ectool.stages.common.found_models import CODE
from ectool.stages.common.inputs import hint_of, positions, reopen_data
from ectool.stages.common.outcomes import outcome_of
from ectool.stages.common.shards import warn_lost
from ectool.types import Outcome, Reporter

STORE = "store"
"""Entry of the configuration; missing for whole images."""


def is_other(artifact: Artifact, store: str) -> bool:
    """Return whether an artifact holds perturbed images in another way.

    Raises:
        InputError: It holds none.
    """
    if artifact.kind != "samples":
        raise InputError(
            str(artifact.path),
            expected="samples, whose images --store is about",
            got=artifact.kind,
            fix="leave --store out",
        )
    return (IMAGE in artifact.arrays) != (store == IMAGES)


def run(config: ConvertConfig, artifact: Artifact, store: str, reporter: Reporter) -> Outcome:
    """Write the samples that `perturb --store` would have written, of the same key and id.

    Arrays that are not in the schema are left out, with a note. A killed process continues.

    Raises:
        InputError: The samples do not name their data set, or it has changed.
        OutputExistsError: The target exists with another key and `force` is off.
    """
    manifest = _known(artifact)
    options = {name: value for name, value in manifest.recipe.config.items() if name != STORE}
    options |= {} if store == IMAGES else {STORE: store}
    recipe = moved(manifest, config.source, config.target).recipe
    recipe = recipe.model_copy(update={"config": options})
    if up_to_date(config.target, recipe, force=config.force):
        return outcome_of(config.target, is_new=False)
    change = _Change(artifact, manifest, store, reporter)
    start, stop = artifact.shards[0]
    with growing(
        config.target,
        recipe,
        length=len(artifact),
        shard_size=stop - start,
        attributes=change.attributes(),
        begun_with=manifest.versions,
    ) as partial:
        warn_lost(partial, reporter)
        partial.record_findings(manifest.findings)
        record_machine(partial.folder, manifest.machine)
        with reporter.task("convert", len(artifact)) as advance:
            for number in partial.missing():
                rows = np.arange(*partial.ranges[number])
                partial.write(number, change.arrays(rows), manifest.shards[number].findings)
                advance(len(rows))
        return outcome_of(partial.publish(), is_new=True)


class _Change:
    """Reads the samples with their images in another form."""

    def __init__(
        self, artifact: Artifact, manifest: Manifest, store: str, reporter: Reporter
    ) -> None:
        if manifest.recipe.source is None:
            raise _unknown(artifact)
        self.artifact, self.store = artifact, store
        self.dataset = reopen_data(manifest.recipe.source, artifact.path)
        ids, fix = artifact.sample_ids, "restore the data"
        self.places = positions(ids, list(self.dataset.sample_ids), self.dataset.name, fix)
        self.images = PerturbedImages(artifact, self.dataset, str(artifact.path))
        own = [name for name in artifact.arrays if spec_of(artifact.kind, name) is None]
        if own:
            reporter.note(f"{artifact.path}: left out, not in the schema: {', '.join(own)}")
        forms = {IMAGE, DIFFERENCE}
        self.names = [n for n in artifact.columns if n not in forms and n not in own]

    def attributes(self) -> dict[str, object]:
        """Return the root attributes."""
        return sample_attributes(self.dataset, self.store)

    def arrays(self, rows: Indices) -> Arrays:
        """Return the arrays of some rows."""
        start, stop = int(rows[0]), int(rows[-1]) + 1
        originals = self.dataset.images(self.places[rows])
        found = {name: self.artifact.read(name, start, stop) for name in self.names}
        images = self.images(rows, lambda: originals)
        return {**found, **stored(images, originals, found["background"], self.store)}


def _known(artifact: Artifact) -> Manifest:
    if artifact.manifest is None:
        raise _unknown(artifact)
    return artifact.manifest


def _unknown(artifact: Artifact) -> InputError:
    return InputError(
        str(artifact.path),
        expected="samples that name their data set",
        got="none",
        fix="make them with `ectool perturb`",
    )


def moved(manifest: Manifest, source: Path, target: Path) -> Manifest:
    """Return the manifest with paths of parents relative to the folder of the target."""
    old = source.absolute().parent
    parents = tuple(
        parent
        if parent.kind == CODE
        else parent.model_copy(update={"path": hint_of(urls.place(old, parent.path), target)})
        for parent in manifest.recipe.parents
    )
    recipe = manifest.recipe.model_copy(update={"parents": parents})
    return manifest.model_copy(update={"recipe": recipe})
