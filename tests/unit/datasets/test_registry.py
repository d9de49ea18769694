from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ectool.datasets.base import SPLITS, VARIANTS, DataRequest
from ectool.datasets.registry import DATASETS, find_entry, open_dataset
from ectool.datasets.views import View
from ectool.errors import InputError


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "my: images"
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (folder / split / name).mkdir(parents=True)
            for number in range(4):
                Image.new("RGB", (9, 9), "red").save(folder / split / name / f"{number}.png")
    return folder


def ask(root, split="test", **changes):
    return DataRequest(path="", split=split, root=root, view=View(8), **changes)


def test_a_name_alone_opens_a_data_set(tmp_path):
    dataset = open_dataset("digits", ask(tmp_path, variant="mixed_rand"))
    assert dataset.name == "digits/test/mixed_rand"
    assert len(dataset.sample_ids) == len(dataset.labels)


def test_a_path_follows_the_first_colon(images, tmp_path):
    dataset = open_dataset(f"imagefolder:{images}", ask(tmp_path))
    assert dataset.classes == ("cat", "dog")
    assert dataset.images(np.array([1])).shape == (1, 3, 8, 8)


@pytest.mark.parametrize(("split", "kept"), [("train", 4), ("test", 8), ("all", 16)])
def test_a_fraction_is_taken_of_training_images_only(images, tmp_path, split, kept):
    dataset = open_dataset(f"imagefolder:{images}", ask(tmp_path, split), fraction=0.5)
    assert len(dataset.sample_ids) == kept
    assert np.bincount(dataset.labels).tolist() == [kept // 2] * 2


def test_the_draw_of_a_fraction_follows_the_seed(images, tmp_path):
    drawn = {
        tuple(open_dataset(f"imagefolder:{images}", ask(tmp_path, "train", seed=s), 0.5).sample_ids)
        for s in range(8)
    }
    assert len(drawn) > 1


@pytest.mark.parametrize(
    ("uri", "fix"), [("digit", "did you mean digits"), ("", "choose"), ("imagenet1k", "")]
)
def test_an_unknown_name_is_an_error_that_helps(tmp_path, uri, fix):
    with pytest.raises(
        InputError, match=rf"data set: expected one of .*digits.*got '{uri}'; {fix}"
    ):
        open_dataset(uri, ask(tmp_path))


@pytest.mark.parametrize(
    ("name", "uri"),
    [("photos", "imagefolder"), ("table.csv", "csv"), ("a.zarr", "zarr"), ("a.h5", "zarr")],
)
def test_a_path_without_a_name_is_an_error_that_names_it(tmp_path, name, uri):
    path = tmp_path / name
    path.mkdir() if name == "photos" else path.write_text("")
    with pytest.raises(InputError, match=rf"got a path without a name; did you mean {uri}:{path}"):
        find_entry(str(path))


def test_a_variant_the_data_do_not_have_is_an_error(images, tmp_path):
    with pytest.raises(InputError, match=r"variant of imagefolder:.*expected one of original"):
        open_dataset(f"imagefolder:{images}", ask(tmp_path, variant="no_fg"))


def test_an_entry_describes_a_data_set_before_it_is_opened():
    assert find_entry("digits").variants == VARIANTS
    assert find_entry("imagefolder:somewhere").splits == (*SPLITS, "all")
    with pytest.raises(InputError, match="did you mean stl10"):
        find_entry("stl-10")


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_is_complete(name):
    entry = DATASETS[name]
    assert entry.uri.partition("[")[0].partition(":")[0] == name
    assert entry.summary.endswith(".")
    assert entry.variants[0] == "original"
    assert len(set(entry.splits)) == len(entry.splits)


def test_the_registry_is_in_alphabetical_order():
    assert list(DATASETS) == sorted(DATASETS)


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "digits"])
def test_a_path_that_does_not_exist_is_an_error(name, tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        open_dataset(f"{name}:{tmp_path}/nowhere", ask(tmp_path, "train"))


def test_importing_the_registry_leaves_the_heavy_packages_alone():
    code = "import sys, ectool.datasets.registry; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert not {"torch", "torchvision", "sklearn", "scipy"} & set(loaded.stdout.split())
