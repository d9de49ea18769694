"""Completion of values in shells: the names that are known without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import get_origin

from ectool.models.names import plain_architectures
from ectool.options import Options, choices_of, plain_type

FOUND: Mapping[str, Callable[[], Sequence[str]]] = {"model": plain_architectures}
"""Values of options that no declaration lists, and that are looked up."""


def completer(model: type[Options], name: str) -> Callable[[str], list[str]] | None:
    """Return a function that completes a value; None for an option without known names.

    It completes the last of several values that are separated by commas. Where it finds none, such
    as for a path, shells complete file names.
    """
    declared = choices_of(model, name)
    if not declared and name not in FOUND:
        return None
    is_list = get_origin(plain_type(model.model_fields[name].annotation)) is tuple

    def complete(incomplete: str) -> list[str]:
        known = declared or FOUND[name]()
        end = incomplete.rfind(",") + 1 if is_list else 0
        before, start = incomplete[:end], incomplete[end:]
        return [before + one for one in known if one.startswith(start)]

    return complete
