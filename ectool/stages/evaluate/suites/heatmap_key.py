"""Key of the heatmaps of a part."""

from __future__ import annotations

from typing import Any

from ectool.config import HeatmapOptions
from ectool.stages.common.found_models import method_key


def heatmap_key(options: HeatmapOptions) -> dict[str, Any]:
    """Return the options of heatmaps, and the package of the method, as JSON values."""
    keyed = options.keyed()
    names = (name for name in HeatmapOptions.model_fields if name in keyed)
    return {name: keyed[name] for name in names} | method_key(options.method)
