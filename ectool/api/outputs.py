"""Logits in the output of any network: a tensor, tuple, dict, or output of Hugging Face."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from ectool.errors import InputError

AUTO = "auto"
LOGITS = "logits"
"""Entry of dicts and of outputs of Hugging Face with the logits."""


def to_logits(output: str | int) -> Callable[[nn.Module, tuple[object, ...], object], object]:
    """Return a hook that replaces the output of a network by its logits."""

    def hook(_module: nn.Module, _arguments: tuple[object, ...], returned: object) -> object:
        return returned if isinstance(returned, Tensor) else _logits_in(returned, output)

    return hook


def _logits_in(returned: object, output: str | int) -> Tensor:
    """Return the logits in the output of a network.

    Raises:
        InputError: There are none.
    """
    entries = _entries(returned)
    if output == AUTO:
        matrices = [v for v in entries.values() if isinstance(v, Tensor) and v.ndim == 2]
        found = entries.get(LOGITS, matrices[0] if matrices else None)
    else:
        found = entries.get(output)
    if isinstance(found, Tensor):
        return found
    raise InputError(
        "output of the module",
        expected="logits (n, classes)" if output == AUTO else f"logits as entry {output!r}",
        got=f"{type(returned).__name__} with {', '.join(map(repr, entries)) or 'no entries'}",
        fix="give the key or index of the logits: output=…",
    )


def _entries(returned: object) -> dict[str | int, object]:
    """Return the entries of an output by key and index."""
    found: dict[str | int, object] = {}
    if isinstance(returned, Mapping):
        found.update(returned)
    elif isinstance(returned, tuple | list):
        names = getattr(returned, "_fields", ())
        found.update(enumerate(returned))
        found.update(zip(names, returned, strict=False))
    elif hasattr(returned, LOGITS):
        found[LOGITS] = getattr(returned, LOGITS)
    return found
