"""The type checker of jaxtyping in tests: beartype, once for each function.

A function inside another one is defined again whenever that one is called, and beartype compiles a
checker of its signature each time: a twentieth of the time of the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beartype import beartype

INSIDE = "<locals>"
_checkers: dict[tuple[str, ...], Callable[..., Any]] = {}


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that checks the types of its arguments and of its result.

    Args:
        function: A function of a signature alone, which jaxtyping calls beside the real one.
    """
    name = function.__qualname__
    if INSIDE not in name:
        return beartype(function)
    code = function.__code__
    key = (function.__module__, name, *code.co_varnames, repr(function.__annotations__))
    if key not in _checkers:
        _checkers[key] = beartype(function)
    return _checkers[key]
