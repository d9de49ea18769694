"""Code of models that is not ectool's: which has run, and which errors it raised.

Such code may raise anything, also what ends a process, and it may end the process itself. The
command line reports it by the name of the model, and not as a success or as a bug of ectool.
"""

from __future__ import annotations

import mmap
import traceback
from pathlib import Path

from ectool.errors import InputError

_PACKAGE = Path(__file__).parents[1]
_places: dict[Path, str] = {}
_shared: list[mmap.mmap] = []
NAME = 400
"""Bytes of the name that another process can read."""


def share(memory: mmap.mmap) -> None:
    """Write the name of the model whose code runs into memory that another process reads."""
    _shared[:] = [memory]


def has_run(model: str, place: Path | None) -> None:
    """Remember code that runs.

    Args:
        model: Name of the model, as in ``import:nets:make``.
        place: File or folder of its top-level module; None if it has none.
    """
    if place is not None:
        _places[place] = model
    for memory in _shared:
        memory[:NAME] = model.encode(errors="replace")[:NAME].ljust(NAME, b"\0")


def blamed(error: BaseException) -> InputError | None:
    """Return the error to show for an exception that the code of a model has raised, else None.

    The code has raised it if it is nearer to the exception than any code of ectool.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__) if _places else ()):
        path = Path(frame.filename)
        if path.is_relative_to(_PACKAGE):
            return None
        for place, model in _places.items():
            if path.is_relative_to(place):
                return _error(model, error, f"{path}:{frame.lineno}")
    return None


def _error(model: str, error: BaseException, place: str) -> InputError:
    text = str(error).strip().splitlines()
    return InputError(
        f"model {model}",
        expected="code that computes logits",
        got=": ".join([type(error).__name__, *text[:1]]) + f" ({place})",
        fix="correct the module",
    )
