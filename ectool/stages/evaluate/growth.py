"""Evaluations that grow: folders that may be completed, and parts made with other options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ectool.artifacts import files
from ectool.artifacts.differences import SHOWN, differences
from ectool.artifacts.manifest import FILE_NAME, Manifest, Recipe
from ectool.artifacts.store import known_manifest
from ectool.config import ShardOptions
from ectool.stages.common.found_models import CODE
from ectool.stages.common.layout import PREDICTIONS

if TYPE_CHECKING:
    from ectool.stages.evaluate.suites.parts import Subject

READING = ("entry", "mean", "std")
"""Options that make another model of the same checkpoint."""


def may_grow(output: Path, recipe: Recipe) -> bool:
    """Return whether a folder is an evaluation of the same model and images."""
    if not output.is_dir():
        return False
    if (output / FILE_NAME).exists():
        found = known_manifest(output)
        if found is None or found.key == recipe.key or found.kind != recipe.kind:
            return False
        return _subject_of(found.recipe) == _subject_of(recipe)
    begun = known_manifest(output / PREDICTIONS)
    if begun is not None:
        return _subject_of(begun.recipe) == _subject_of(recipe)
    names = [path.name for path in output.iterdir()]
    return not names or any(name.startswith(PREDICTIONS) for name in names)


def _subject_of(recipe: Recipe) -> tuple[object, ...]:
    """Return what identifies model and images, of an evaluation or one of its parts."""
    models = [parent.id for parent in recipe.parents if parent.role in ("model", CODE)]
    reading = [recipe.config.get(name) for name in READING]
    return recipe.stage, models, reading, recipe.source.fingerprint if recipe.source else None


def keep_or_set_aside(subject: Subject, path: Path, recipe: Recipe, shard_size: int) -> None:
    """Keep a part with the requested recipe; move another one aside.

    Args:
        subject: Model and data.
        path: Path of the part.
        recipe: Recipe of the requested part.
        shard_size: Samples in each of its shards.
    """
    found = known_manifest(path)
    if found is not None and found.key == recipe.key and _is_cut(found, shard_size):
        return
    set_aside(subject, path, recipe)


def set_aside(subject: Subject, path: Path, recipe: Recipe) -> None:
    """Move a part aside, if it exists; remove the manifest of the results first.

    Args:
        subject: Model and data.
        path: Path of the part.
        recipe: Recipe of the part that replaces it, for the note.
    """
    if not path.exists():
        return
    files.remove(subject.config.output / FILE_NAME)
    found = known_manifest(path)
    aside = files.move_aside(path, found.key if found else "unknown")
    differs = [] if found is None else list(differences(found.recipe, recipe))
    how = f" ({', '.join(differs[:SHOWN])})" if differs else ""
    subject.reporter.note(f"{path}: made with other options{how}, now {aside.name}")


def _is_cut(manifest: Manifest, shard_size: int) -> bool:
    """Return whether the shards have the requested number of samples."""
    longest = max((shard.stop - shard.start for shard in manifest.shards), default=0)
    return longest == min(shard_size, manifest.length)


def shard_key(shard_size: int) -> dict[str, int]:
    """Return the shard size as part of the key; empty for the default size."""
    is_default = shard_size == ShardOptions.model_fields["shard_size"].default
    return {} if is_default else {"shard_size": shard_size}
