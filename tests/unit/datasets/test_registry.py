from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ectool.datasets.base import VARIANTS
from ectool.datasets.registry import DATASETS, open_dataset, variants
from ectool.errors import InputError


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "my: pictures"
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (folder / split / name).mkdir(parents=True)
            Image.new("RGB", (9, 9), "red").save(folder / split / name / "1.png")
    return folder


def test_a_name_alone_opens_a_data_set(tmp_path):
    dataset = open_dataset("digits", split="test", variant="mixed_rand", root=tmp_path)
    assert len(dataset.sample_ids) == len(dataset.labels)


def test_a_path_follows_the_first_colon(pictures, tmp_path):
    dataset = open_dataset(f"imagefolder:{pictures}", split="test", size=8, root=tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert dataset.images(np.array([1])).shape == (1, 3, 8, 8)


@pytest.mark.parametrize(
    ("uri", "fix"), [("digit", "write 'digits'"), ("", "choose"), ("imagenet1k", "choose")]
)
def test_an_unknown_name_is_an_error_that_helps(tmp_path, uri, fix):
    with pytest.raises(InputError, match=rf"data set: expected one of digits.*got '{uri}'; {fix}"):
        open_dataset(uri, split="test", root=tmp_path)


def test_variants():
    assert variants("digits") == VARIANTS
    assert variants("imagefolder:somewhere") == variants("stl10") == ("original",)
    with pytest.raises(InputError, match="write 'stl10'"):
        variants("stl-10")


def test_a_variant_the_data_do_not_have_is_an_error(pictures, tmp_path):
    with pytest.raises(InputError, match=r"variant of imagefolder:.*expected one of original"):
        open_dataset(f"imagefolder:{pictures}", split="test", variant="no_fg", root=tmp_path)


@pytest.mark.parametrize("name", sorted(set(DATASETS) - {"digits"}))
def test_a_path_that_does_not_exist_is_an_error(name, tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        open_dataset(f"{name}:{tmp_path}/nowhere", split="test", root=tmp_path)


def test_importing_the_registry_leaves_the_heavy_packages_alone():
    code = "import sys, ectool.datasets.registry; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert not {"torch", "torchvision", "sklearn", "scipy"} & set(loaded.stdout.split())
