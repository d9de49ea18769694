"""`data materialize --remove`: removal of the most relevant pixels, and its baselines."""

from __future__ import annotations

import numpy as np
import pytest

from ectool.artifacts.artifact import Artifact
from ectool.config import DataOptions, ExplainConfig, MaterializeConfig
from ectool.errors import InputError, UsageError
from ectool.metrics.heatmaps import upsample_bilinear
from ectool.stages import explain
from ectool.stages.common.inputs import open_data
from ectool.stages.data import materialize
from ectool.stages.data.removal import mean_colour

SPLIT, LIMIT, SIDE = "validation", 12, 32
DATA = {"split": SPLIT, "limit": LIMIT}


@pytest.fixture(scope="module")
def cams(model, tmp_path_factory):
    output = tmp_path_factory.mktemp("removal") / "cams.zarr"
    return explain.run(
        ExplainConfig(model=str(model), data="digits", **DATA, output=output, device="cpu")
    ).path


@pytest.fixture
def removed(tmp_path):
    def make(what, share, name="pictures", **options):
        output = tmp_path / f"{name}.zarr"
        config = MaterializeConfig(
            uri="digits", **DATA, remove=str(what), share=share, output=output, **options
        )
        with Artifact(materialize.run(config).path, "pictures") as artifact:
            return artifact.read("image"), artifact.manifest

    return make


@pytest.fixture(scope="module")
def digits(data_root):
    return open_data(DataOptions(limit=LIMIT), SPLIT)


def test_the_most_relevant_pixels_get_the_mean_colour_and_no_others_change(removed, digits, cams):
    share = 0.3
    found, manifest = removed(cams, share)
    clean = digits.images(np.arange(LIMIT))
    colour = [round(float(clean[:, channel].mean())) for channel in range(3)]
    with Artifact(cams) as heatmaps:
        relevance = upsample_bilinear(heatmaps.read("clean").astype(np.float32), (SIDE, SIDE))
        parent = heatmaps.id
    for image, before, values in zip(found, clean, relevance, strict=True):
        # Row-major order decides between equal pixels.
        order = sorted(np.ndindex(SIDE, SIDE), key=lambda at, v=values: (-v[at], at))
        gone = order[: round(share * SIDE * SIDE)]
        expected = before.copy()
        for y, x in gone:
            expected[:, y, x] = colour
        differing = (image != expected).any(axis=0)
        # Interpolation by torch and by numpy may order two nearly equal pixels differently.
        assert differing.sum() <= 4
    assert [parent_.id for parent_ in manifest.recipe.parents] == [parent]


def test_the_mean_colour_is_that_of_the_split(digits):
    assert mean_colour(digits).tolist() == [
        round(float(digits.images(np.arange(LIMIT))[:, channel].mean())) for channel in range(3)
    ]


@pytest.mark.parametrize("what", ["random", "centre"])
def test_baselines_know_nothing_of_the_image(what, removed, digits):
    found, manifest = removed(what, 0.5)
    gone = (found == mean_colour(digits)[:, None, None]).all(axis=1)
    assert (gone.sum(axis=(1, 2)) >= SIDE * SIDE // 2).all()
    assert manifest.recipe.parents == ()
    assert manifest.recipe.config["remove"] == what
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    centre = y**2 + x**2 < 12**2
    if what == "centre":
        assert gone[:, centre].all()
        assert not gone[:, y**2 + x**2 > 14**2].all(axis=0).any()
    else:
        assert 0.3 < gone[:, centre].mean() < 0.8
        assert (gone[0] != gone[1]).any()


def test_heatmaps_of_other_images_are_refused(cams, tmp_path):
    config = MaterializeConfig(
        uri="digits",
        split="test",
        limit=LIMIT,
        remove=str(cams),
        share=0.5,
        output=tmp_path / "p.zarr",
    )
    with pytest.raises(InputError, match=r"--remove .*expected all 12 samples, got 12 missing"):
        materialize.run(config)


def test_what_is_removed_is_in_the_key(removed, cams):
    keys = [
        removed(what, share, name=f"{number}")[1].key
        for number, (what, share) in enumerate(
            [("random", 0.5), ("random", 0.4), ("centre", 0.5), (cams, 0.5)]
        )
    ]
    assert len(set(keys)) == 4


@pytest.mark.parametrize("given", [{"remove": "random"}, {"share": 0.5}])
def test_what_and_how_much_belong_together(given, tmp_path):
    config = MaterializeConfig(uri="digits", output=tmp_path / "p.zarr", **given)
    with pytest.raises(UsageError, match=r"--remove and --share: expected both of them"):
        materialize.run(config)


def test_several_heatmaps_of_an_image_have_no_order(write, digits, tmp_path):
    ids = np.array(digits.sample_ids, np.dtypes.StringDType())
    arrays = {
        "sample_id": ids,
        "label": np.ones((LIMIT, 2), np.int8),
        "target": np.tile([0, 1], (LIMIT, 1)),
        "clean": np.ones((LIMIT, 2, 4, 4), np.float32),
        "logits_clean": np.ones((LIMIT, 2), np.float32),
    }
    path = write(tmp_path / "cams.zarr", "heatmaps", arrays)
    config = MaterializeConfig(
        uri="digits", **DATA, remove=str(path), share=0.5, output=tmp_path / "p.zarr"
    )
    with pytest.raises(InputError, match="expected one heatmap for each image"):
        materialize.run(config)
