"""What differs between the recipes of two artifacts, in words for a message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ectool.artifacts.manifest import Manifest, Parent, Recipe
from ectool.errors import OutputExistsError
from ectool.options import format_value

SHOWN = 4
"""Maximum number of differences in a message."""
WITHOUT = "something without a manifest"
LONGEST = 40
"""Maximum number of characters of a value in a message."""
NONE = "none"


def described(found: Manifest | None, wanted: Recipe) -> str:
    """Return in words how an existing output was made, compared with the one that is wanted.

    Args:
        found: Manifest of the existing output; None if it has none.
        wanted: Recipe of the output that a command would write.
    """
    if found is None:
        return WITHOUT
    if found.kind != wanted.kind:
        return f"an artifact of kind {found.kind}, not {wanted.kind}"
    differs = list(differences(found.recipe, wanted)) or [f"key {found.key[:12]}"]
    more = f", and {len(differs) - SHOWN} more" if len(differs) > SHOWN else ""
    return f"another one ({', '.join(differs[:SHOWN])}{more})"


def in_the_way(output: Path, got: str) -> OutputExistsError:
    """Return the error for an existing output that is another one."""
    return OutputExistsError(
        str(output),
        expected="no output, or one of the same inputs and options",
        got=got,
        fix="choose another --output, or --force to move it aside",
    )


def differences(before: Recipe, after: Recipe) -> Iterator[str]:
    """Yield in words what makes the keys of two recipes differ.

    Args:
        before: Recipe of an artifact that exists.
        after: Another recipe.

    Yields:
        First the options, such as ``method: gradcam → layercam``, then inputs and data.
    """
    if before.stage != after.stage:
        yield _change("stage", before.stage, after.stage)
    yield from _of_options(before.config, after.config)
    yield from _of_parents(before.parents, after.parents)
    yield from _of_data(before, after)


def _of_options(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield the options that differ; of entries with long values only the name."""
    for name in sorted(before.keys() | after.keys()):
        values = [recipe.get(name) for recipe in (before, after)]
        if values[0] == values[1]:
            continue
        is_long = any(len(_shown(value)) > LONGEST for value in values)
        if is_long or any(isinstance(value, Mapping) for value in values):
            yield f"{name} differ"
        else:
            yield _change(name, *values)


def _of_parents(before: tuple[Parent, ...], after: tuple[Parent, ...]) -> Iterator[str]:
    """Yield the inputs that differ, by their role."""
    old, new = ({parent.role: parent for parent in parents} for parents in (before, after))
    for role in sorted(old.keys() | new.keys()):
        if role not in old or role not in new:
            yield _change(role, *(_path(parents.get(role)) for parents in (old, new)))
        elif old[role].id != new[role].id:
            yield "weights of the model differ" if role == "model" else f"contents of {role} differ"


def _of_data(before: Recipe, after: Recipe) -> Iterator[str]:
    """Yield how the data differ; without options that are in the recipe, too."""
    old, new = before.source, after.source
    if (old and old.fingerprint) == (new and new.fingerprint):
        return
    if old is None or new is None:
        yield _change("data", old and old.data, new and new.data)
    elif old.data != new.data:
        yield _change("data", old.data, new.data)
    else:
        views = [{**one.options, "split": one.split} for one in (old, new)]
        changed = [name for name in views[1] if views[0].get(name) != views[1][name]]
        for name in changed:
            if name not in after.config:
                yield _change(name, views[0].get(name), views[1][name])
        if not changed:
            yield f"images or labels of {new.data} differ"


def _change(name: str, before: object, after: object) -> str:
    return f"{name}: {_shown(before)} → {_shown(after)}"


def _shown(value: object) -> str:
    return NONE if value is None or value in ([], ()) else format_value(value)


def _path(parent: Parent | None) -> str | None:
    return None if parent is None else parent.path
