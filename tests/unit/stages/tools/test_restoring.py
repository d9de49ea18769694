"""Samples as images and as differences: one becomes the other, and every reader sees the same."""

import shutil

import numpy as np
import pytest
from PIL import Image

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.chunks.image_differences import decode
from ectool.artifacts.store import read_manifest
from ectool.config import ConvertConfig, DataOptions, ExplainConfig, PerturbConfig, ScoreConfig
from ectool.distributed.group import Group
from ectool.distributed.world import World
from ectool.errors import InputError, OutputExistsError
from ectool.stages import explain, perturb, score
from ectool.stages.common.inputs import open_data
from ectool.stages.report.samples import open_round, read_samples
from ectool.stages.tools import convert
from ectool.stages.train.feed import perturbed_images

SHARD, SIDE = 8, 32


@pytest.fixture(scope="module")
def options(model, few_options):
    return {"model": str(model), "eps": 6 / 255, "steps": 1, "shard_size": SHARD, **few_options}


@pytest.fixture(scope="module")
def made(options, tmp_path_factory):
    """Return samples of both kinds, by the name of their kind and their suffix."""
    folder = tmp_path_factory.mktemp("made")
    found = {}
    for store in ("images", "differences"):
        for suffix in ("zarr", "h5"):
            path = folder / f"{store}.{suffix}"
            config = PerturbConfig(output=path, store=store, **options)
            found[store, suffix] = perturb.run(config).path
    return found


@pytest.fixture(scope="module")
def whole(made, read):
    return read(made["images", "zarr"])


SUFFIXES = pytest.mark.parametrize("suffix", ["zarr", "h5"])


@SUFFIXES
def test_the_same_images_from_the_differences(made, read, whole, few_digits, suffix):
    found = read(made["differences", suffix])
    assert "image" not in found
    assert found["sample_id"].tolist() == list(few_digits.sample_ids)
    images, matches = decode(found.pop("difference"), few_digits.images(np.arange(30)))
    assert matches.all()
    np.testing.assert_array_equal(images, whole["image"])
    for name, values in found.items():
        np.testing.assert_array_equal(values, whole[name], err_msg=name)


@SUFFIXES
@pytest.mark.parametrize("store", ["images", "differences"])
def test_convert_makes_what_perturb_would_have_made(made, read, tree, store, suffix):
    other = {"images": "differences", "differences": "images"}[store]
    target = made[store, suffix].parent / f"converted-{store}.{suffix}"
    config = ConvertConfig(source=made[other, "zarr"], target=target, store=store)
    assert convert.run(config).is_new
    assert read_manifest(target) == read_manifest(made[store, suffix])
    for name, values in read(made[store, suffix]).items():
        np.testing.assert_array_equal(read(target)[name], values, err_msg=name)
    if suffix == "zarr":
        ours, theirs = tree(target), tree(made[store, suffix])
        assert {n for n in ours | theirs if ours.get(n) != theirs.get(n)} <= {"manifest.json"}
    assert not convert.run(config).is_new


@SUFFIXES
def test_explain_finds_the_same_heatmaps(made, read, options, tmp_path, suffix):
    shared = {"model": options["model"], "device": "cpu", "shard_size": SHARD, "batch_size": 5}
    one, other = (
        read(explain.run(ExplainConfig(samples=path, output=tmp_path / name, **shared)).path)
        for name, path in {
            "a.zarr": made["images", "zarr"],
            "b.zarr": made["differences", suffix],
        }.items()
    )
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


@SUFFIXES
def test_train_reads_the_same_images(made, whole, few_digits, tmp_path, suffix):
    with Artifact(made["differences", suffix], "samples") as samples:
        read = perturbed_images(samples, few_digits, tmp_path, Group(World()))
        rows = np.array([29, 0, 8, 7, 7])
        np.testing.assert_array_equal(read(rows), whole["image"][rows])
    assert any(tmp_path.iterdir()) == (suffix == "h5"), "a scratch file only for HDF5"


def test_the_report_shows_the_same_images(made, whole, options, tmp_path):
    shutil.copytree(made["differences", "zarr"], tmp_path / "adv.zarr")
    shared = {"samples": tmp_path / "adv.zarr", "output": tmp_path / "cams.zarr"}
    explain.run(ExplainConfig(model=options["model"], device="cpu", **shared))
    score.run(ScoreConfig(heatmaps=tmp_path / "cams.zarr"))
    chosen = [str(whole["sample_id"][row]) for row in (17, 2)]
    with open_round(tmp_path) as last:
        samples = read_samples(last, last.open_dataset(), dict.fromkeys(chosen, "chosen"))
    for row, sample in zip((17, 2), samples, strict=True):
        np.testing.assert_array_equal(sample.perturbed, whole["image"][row])


def test_a_warm_start(made, read, options, tmp_path):
    """The next round starts from the same images."""
    found = [
        read(
            perturb.run(
                PerturbConfig(
                    init=made[store, "zarr"], output=tmp_path / f"{store}.zarr", **options
                )
            ).path
        )
        for store in ("images", "differences")
    ]
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name], err_msg=name)


def test_the_default_keeps_its_key():
    keys = [
        PerturbConfig(model="m", output="a.zarr", store=s).keyed()
        for s in ("images", "differences")
    ]
    assert "store" not in keys[0]
    assert keys[1].pop("store") == "differences"
    assert keys[0] == keys[1]


@pytest.fixture
def changed(few, options, tmp_path):
    """Perturb a copy of the data set into differences, then change an image."""
    data = tmp_path / "few"
    shutil.copytree(few, data)
    given = {**options, "data": f"imagefolder:{data}", "store": "differences"}
    path = perturb.run(PerturbConfig(output=tmp_path / "adv.zarr", **given)).path
    image = next(data.glob("*/0.png"))
    pixels = np.asarray(Image.open(image)).copy()
    pixels[12:20, 12:20] ^= 255
    Image.fromarray(pixels).save(image)
    return path, given


def expand(samples, folder):
    target = folder / "whole.zarr"
    return convert.run(ConvertConfig(source=samples, target=target, store="images"))


def test_changed_images_are_refused(changed, tmp_path):
    samples, given = changed
    shared = {"model": given["model"], "device": "cpu"}
    with pytest.raises(InputError, match=r"images of.*restore the data"):
        explain.run(ExplainConfig(samples=samples, output=tmp_path / "c.zarr", **shared))
    with pytest.raises(InputError, match=r"expected the data of .*point ECTOOL_DATA"):
        expand(samples, tmp_path)


def test_changed_images_are_refused_without_a_manifest(changed, tmp_path):
    """The checksum of each image tells, where no fingerprint does."""
    samples, given = changed
    (samples / "manifest.json").unlink()
    shared = {"model": given["model"], "device": "cpu", "split": "all", "size": SIDE}
    config = ExplainConfig(
        samples=samples, data=given["data"], output=tmp_path / "c.zarr", **shared
    )
    with pytest.raises(InputError, match="the differences were made from, got another image for"):
        explain.run(config)
    with pytest.raises(InputError, match="expected samples that name their data set"):
        expand(samples, tmp_path)


def test_a_data_set_of_another_size(made, few, tmp_path):
    data = open_data(DataOptions(data=f"imagefolder:{few}", size=16), "all")
    with (
        Artifact(made["differences", "zarr"]) as samples,
        pytest.raises(InputError, match=r"shape \(3, 16, 16\) .* got uint8 of shape \(3, 32, 32\)"),
    ):
        perturbed_images(samples, data, tmp_path, Group(World()))


def test_readers_of_whole_images_are_told(made):
    with pytest.raises(InputError, match=r"expected whole images.*ectool convert --store images"):
        open_data(DataOptions(data=f"zarr:{made['differences', 'zarr']}"), "all")


def test_other_artifacts_have_no_images(made, options, tmp_path):
    maps = explain.run(
        ExplainConfig(
            samples=made["images", "zarr"],
            model=options["model"],
            device="cpu",
            output=tmp_path / "cams.zarr",
        )
    ).path
    config = ConvertConfig(source=maps, target=tmp_path / "x.zarr", store="images")
    with pytest.raises(InputError, match=r"expected samples.*got heatmaps"):
        convert.run(config)


def test_a_target_of_other_contents(made, tmp_path):
    target = tmp_path / "x.zarr"
    shutil.copytree(made["differences", "zarr"], target)
    with pytest.raises(OutputExistsError, match="store"):
        convert.run(
            ConvertConfig(source=made["differences", "zarr"], target=target, store="images")
        )
