"""Conversion of stored numbers and text to the types of the program."""

from __future__ import annotations

from typing import Any

import numpy as np


def kind_of(dtype: np.dtype[Any]) -> str:
    """Return numpy's kind of a type; `T` for every kind of text."""
    return "T" if dtype.kind in "TUSO" else dtype.kind


def native(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return numbers in the byte order of this machine, which torch requires."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def as_text(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return text of any of numpy's kinds as numpy strings.

    Raises:
        UnicodeDecodeError: Bytes are not UTF-8.
    """
    if values.dtype.kind in "SO":
        decoded = [v.decode() if isinstance(v, bytes) else str(v) for v in values.reshape(-1)]
        values = np.array(decoded, np.dtypes.StringDType()).reshape(values.shape)
    return values.astype(np.dtypes.StringDType())
