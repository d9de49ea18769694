"""Whether artifacts that are joined on sample ids are of the same images."""

from __future__ import annotations

from collections.abc import Collection

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import DataSource
from ectool.errors import InputError
from ectool.stages.common.inputs import open_data, short, source_options, split_name

SELECTION = frozenset({"fraction", "limit", "fold"})
"""Options that choose images of a data set and leave these as they are; so does the split."""
VIEW = frozenset({"size", "view"})
"""Options that show the same images in another way."""


def check_same_images(
    artifact: Artifact, used: DataSource | None, where: str, free: Collection[str] = SELECTION
) -> None:
    """Check that an artifact was made of the images that it is joined with.

    Equal fingerprints are enough. Where they differ because other samples of the same data set
    are taken, the artifact's own are opened anew, in the way the others were: a fingerprint that
    is that of the artifact shows that the images have not changed. Nothing can be said of an
    artifact of another program, which names no data set.

    Args:
        artifact: What is joined.
        used: The data set it is joined with.
        where: What the message begins with.
        free: Options in which both may differ.

    Raises:
        InputError: It was made of other images; the message names both fingerprints.
    """
    made = artifact.manifest.recipe.source if artifact.manifest else None
    if made is None or used is None or made.fingerprint == used.fingerprint:
        return
    if _fingerprint_now(made, used, free) != made.fingerprint:
        raise InputError(
            where,
            expected=f"images of {_named(used)}",
            got=f"those of {_named(made)}",
            fix="restore the data, or make the artifact again of the ones in use",
        )


def _fingerprint_now(made: DataSource, used: DataSource, free: Collection[str]) -> str | None:
    """Return the fingerprint of an artifact's images where they are used; None if there is none."""
    kept = {name: value for name, value in made.options.items() if name in free}
    options = source_options(used).model_copy(update=kept)
    try:
        return open_data(options, made.split).fingerprint
    except InputError:
        return None


def _named(source: DataSource) -> str:
    return f"{split_name(source.data, source.split)}, fingerprint {short(source.fingerprint)}"
