"""Results as text: nested values as indented lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

from ectool.shown_text import visible


def examples_text(examples: Sequence[str]) -> str:
    """Return command lines as the end of a help text, in the markup of rich."""
    title = "Example:" if len(examples) == 1 else "Examples:"
    return "\n".join([title, *(f"  {line}" for line in examples)]).replace("[", r"\[")


def nested_lines(value: object, indent: int = 0) -> list[str]:
    """Return nested JSON values as indented `name: value` lines."""
    pad = "  " * indent
    if isinstance(value, dict):
        pairs: list[tuple[object, object]] = list(value.items())
    elif _is_nested(value):
        pairs = list(enumerate(value, 1))
    else:
        return [pad + _plain(value)]
    lines = list[str]()
    for key, item in pairs:
        name = visible(str(key))
        below = nested_lines(item, indent + 1) or [_plain(item)]
        is_leaf = len(below) == 1 and not (isinstance(item, dict) and item) and not _is_nested(item)
        lines += [f"{pad}{name}: {below[0].strip()}"] if is_leaf else [f"{pad}{name}:", *below]
    return lines


def _is_nested(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and any(isinstance(item, dict | list) for item in value)


def _plain(value: object) -> str:
    """Return a single value, or a flat list, as text."""
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return "none" if value is None or value == {} else visible(str(value))
