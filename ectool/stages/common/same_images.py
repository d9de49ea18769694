"""Checks that artifacts that are joined on sample ids were made from the same images."""

from __future__ import annotations

from collections.abc import Collection

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import DataSource
from ectool.errors import InputError
from ectool.stages.common.inputs import open_data, short, source_options, split_name

SELECTION = frozenset({"fraction", "limit", "fold"})
"""Options that, like the split, select images of a data set and do not change them."""
VIEW = frozenset({"size", "view"})
"""Options of the view of the same images."""


def check_same_images(
    artifact: Artifact, used: DataSource | None, where: str, free: Collection[str] = SELECTION
) -> None:
    """Check that an artifact was made from the images that it is joined with.

    Equal fingerprints are enough. If they differ because the artifact has other samples of the
    same data set, these are opened again with the options of `used`: the images have not changed
    if the fingerprint is that of the artifact. An artifact of another program names no data set
    and is not checked.

    Args:
        artifact: The artifact.
        used: The data set it is joined with.
        where: Beginning of the error message.
        free: Options that may differ.

    Raises:
        InputError: It was made from other images; the message names both fingerprints.
    """
    made = artifact.manifest.recipe.source if artifact.manifest else None
    if made is None or used is None or made.fingerprint == used.fingerprint:
        return
    if _fingerprint_now(made, used, free) != made.fingerprint:
        raise InputError(
            where,
            expected=f"images of {_named(used)}",
            got=f"those of {_named(made)}",
            fix="restore the data, or make the artifact again from the data in use",
        )


def _fingerprint_now(made: DataSource, used: DataSource, free: Collection[str]) -> str | None:
    """Return the current fingerprint of the images of an artifact; None if they are missing."""
    kept = {name: value for name, value in made.options.items() if name in free}
    options = source_options(used).model_copy(update=kept)
    try:
        return open_data(options, made.split).fingerprint
    except InputError:
        return None


def _named(source: DataSource) -> str:
    return f"{split_name(source.data, source.split)}, fingerprint {short(source.fingerprint)}"
