"""Origin of a report, from the manifests of its artifacts."""

from __future__ import annotations

import numpy as np
import pytest

from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.stages.report.provenance import read_provenance


@pytest.fixture
def samples(tmp_path):
    """Return a function that writes samples with a radius that the stage has found."""

    def write(name, radius, **config):
        recipe = Recipe(kind="samples", stage="perturb", config={"eps": "auto", **config})
        ids = np.array(["a"], dtype=np.dtypes.StringDType())
        image, logits = np.zeros((1, 3, 8, 8), np.uint8), np.zeros((1, 2), np.float32)
        arrays = {
            **{"sample_id": ids, "label": np.zeros(1, np.int64), "image": image},
            **{"background": image[:, 0] > 0, "logits_clean": logits, "logits_adversarial": logits},
        }
        with growing(tmp_path / name, recipe, length=1, shard_size=1) as partial:
            partial.record_findings({"eps": radius})
            partial.write(0, arrays, {})
            return partial.publish()

    return write


def test_radii_that_were_found_stand_behind_auto(samples):
    paths = [samples(f"{n}.zarr", n / 255, norm="linf", steps=n) for n in (14, 9)]
    settings = read_provenance(paths, "report").settings["perturb"]
    assert settings == {"eps": "auto: 9/255, 14/255", "norm": "linf"}
    other = samples("l2.zarr", 0.5, norm="l2")
    assert read_provenance([other], "report").settings["perturb"]["eps"] == "auto: 0.5"
