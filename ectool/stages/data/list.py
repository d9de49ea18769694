"""`data list`: the available data sets."""

from __future__ import annotations

from typing import Any

from ectool.config import DataListConfig
from ectool.datasets.registry import DATASETS
from ectool.types import SILENT, Reporter


def run(config: DataListConfig, reporter: Reporter = SILENT) -> dict[str, Any]:  # noqa: ARG001
    """Return summary, form of the URI, splits and archives of every data set."""
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
