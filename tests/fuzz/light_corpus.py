"""Valid inputs that are written in a moment, without training. Runs in a process of the zygote."""

from __future__ import annotations

import sys
from pathlib import Path

from . import files

ROWS, SHARD, CLASSES = 10, 4, 3


def main(argv: list[str]) -> None:
    """Write heatmaps in both formats, weights, and the plain files."""
    from ectool.artifacts.manifest import Recipe
    from ectool.artifacts.partial import growing
    from ectool.config import ConvertConfig, ScoreConfig
    from ectool.stages import score
    from ectool.stages.tools import convert

    base = Path(argv[0])
    files.write(base)
    heatmaps = base / "light.zarr"
    recipe = Recipe(kind="heatmaps", stage="explain", config={"rows": ROWS})
    with growing(heatmaps, recipe, length=ROWS, shard_size=SHARD) as partial:
        for number in partial.missing():
            partial.write(number, rows_of(*partial.ranges[number]), {"zero_maps": 0})
        partial.publish()
    convert.run(ConvertConfig(source=heatmaps, target=base / "light.h5"))
    score.run(ScoreConfig(heatmaps=heatmaps, output=base / "light-weights.zarr"))
    sys.exit(0)


def rows_of(start: int, stop: int) -> dict[str, object]:
    """Return rows of heatmaps of noise."""
    import numpy as np

    count = stop - start
    ids = np.array([f"sample/{row}" for row in range(start, stop)], dtype=np.dtypes.StringDType())
    rng = np.random.default_rng(start)
    labels = np.arange(start, stop) % CLASSES
    found: dict[str, object] = {"sample_id": ids, "label": labels, "target": labels}
    for name in ("clean", "adversarial"):
        found[name] = rng.random((count, 4, 4)).astype(np.float16)
        found[f"logits_{name}"] = rng.random((count, CLASSES)).astype(np.float32)
    return found
