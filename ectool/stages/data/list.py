"""`data list`: the data sets that can be named."""

from __future__ import annotations

from typing import Any

from ectool.config import DataListConfig
from ectool.datasets.registry import DATASETS
from ectool.types import SILENT, Reporter


def run(config: DataListConfig, reporter: Reporter = SILENT) -> dict[str, Any]:  # noqa: ARG001
    """Return what every data set is, is named by, and has to be downloaded of it."""
    return {
        name: {
            "summary": entry.summary,
            "uri": entry.uri,
            "splits": ", ".join(entry.splits),
            **({"variants": ", ".join(entry.variants)} if len(entry.variants) > 1 else {}),
            **(
                {"archives": [str(archive) for archive in entry.archives]} if entry.archives else {}
            ),
        }
        for name, entry in DATASETS.items()
    }
