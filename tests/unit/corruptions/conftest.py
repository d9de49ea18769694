from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import PIL.Image
import pytest
from skimage import data

from ectool.corruptions.pixels import Image


@cache
def _photograph(height: int, width: int) -> Image:
    whole = PIL.Image.fromarray(data.chelsea()[:300, 75:375])
    resized = whole.resize((width, height), PIL.Image.Resampling.LANCZOS)
    image = np.ascontiguousarray(np.asarray(resized).transpose(2, 0, 1))
    image.flags.writeable = False
    return image


@pytest.fixture(scope="session")
def photograph() -> Callable[..., Image]:
    """Return a function that gives a photograph of a height and width, read-only."""
    return lambda height, width=None: _photograph(height, width or height)
