"""What training scripts put beside the weights and nothing can be hidden in."""

from __future__ import annotations

import argparse
import collections
import datetime
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

Harmless = Callable[..., Any] | tuple[Callable[..., Any], str]

_PATHS = ("pathlib", "pathlib._local")  # the latter since Python 3.13
_CORES = ("core", "_core")
_SCALAR = cast(Callable[..., Any], np.float64(0).__reduce__()[0])
_ARRAY = cast(Callable[..., Any], np.empty(0).__reduce__()[0])
_BUFFER = cast(Callable[..., Any], np.zeros(1).__reduce_ex__(5)[0])
_TIMES = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone)
_DTYPES = tuple(
    kind
    for kind in vars(np.dtypes).values()
    if isinstance(kind, type) and issubclass(kind, np.dtype) and kind is not np.dtypes.ObjectDType
)
HARMLESS: list[Harmless] = [
    argparse.Namespace,
    types.SimpleNamespace,
    collections.defaultdict,
    collections.deque,
    *(dict, list, int, float, str, bool, complex, tuple, frozenset, slice, range),
    *_TIMES,
    *((type(Path()), f"{module}.{type(Path()).__name__}") for module in _PATHS),
    np.dtype,
    np.ndarray,
    *_DTYPES,
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in _CORES),
    *((_ARRAY, f"numpy.{core}.multiarray._reconstruct") for core in _CORES),
    *((_BUFFER, f"numpy.{core}.numeric._frombuffer") for core in _CORES),
]
"""Types and functions that hold values and do nothing: options, scores, dates, paths, arrays."""
