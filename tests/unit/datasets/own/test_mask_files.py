"""Which mask belongs to which image."""

from __future__ import annotations

import pytest

from ectool.datasets.own.mask_files import find_masks, mask_of
from ectool.errors import InputError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_the_usual_mask_lies_in_the_same_place_below_masks():
    assert mask_of("train/a bird/0.v2.JPG") == "masks/train/a bird/0.v2.png"


def test_masks_have_any_image_format(tmp_path):
    touch(tmp_path, "masks/a/0.v2.png", "masks/a/1.GIF", "masks/a/2.tif", "masks/a/2.txt")
    found = find_masks(tmp_path, [""], ["a/0.v2.JPG", "a/1.jpg", "a/2.png"])
    assert found == ("masks/a/0.v2.png", "masks/a/1.GIF", "masks/a/2.tif")


def test_of_several_masks_the_one_of_exactly_the_same_name_counts(tmp_path):
    touch(tmp_path, "masks/a/0.png", "masks/a/0.tif")
    assert find_masks(tmp_path, [""], ["a/0.tif"]) == ("masks/a/0.tif",)
    with pytest.raises(InputError, match=r"masks/a/0\.png: .*got several: 0\.png, 0\.tif; keep"):
        find_masks(tmp_path, [""], ["a/0.jpg"])


def test_a_missing_mask_is_named(tmp_path):
    touch(tmp_path, "masks/a/0.png", "masks/a/.1.png")
    with pytest.raises(InputError, match=r"masks/a/1\.png: expected the mask of a/1\.jpg.*no such"):
        find_masks(tmp_path, [""], ["a/0.jpg", "a/1.jpg"])


def test_without_a_folder_of_masks_for_the_split_there_are_none(tmp_path):
    touch(tmp_path, "masks/train/a/0.png")
    assert find_masks(tmp_path, ["train", "test"], ["train/a/0.png"]) is None
