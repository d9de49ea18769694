"""The kinds of inputs by name."""

from __future__ import annotations

from ..model import Kind
from . import artifacts, data, models, options, remote, weights

KINDS: dict[str, Kind] = {
    **artifacts.KINDS,
    **models.KINDS,
    **weights.KINDS,
    **data.KINDS,
    **options.KINDS,
    **remote.KINDS,
}
