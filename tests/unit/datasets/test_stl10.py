from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from ectool.datasets.base import DataRequest
from ectool.datasets.stl10 import SOURCES, open_stl10
from ectool.errors import InputError

NAMES = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
COUNTS = {"train": 230, "test": 30}


def write_stl10(folder: Path) -> None:
    """Write a miniature in the original format: uint8, columns before rows, labels from 1."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for source, count in COUNTS.items():
        generator.integers(0, 256, (count, 3, 96, 96), np.uint8).tofile(folder / f"{source}_X.bin")
        labels = 7 * np.arange(count) % 10 + 1
        labels.astype(np.uint8).tofile(folder / f"{source}_y.bin")
    (folder / "class_names.txt").write_text("\n".join(NAMES) + "\n")
    folds = [" ".join(map(str, range(10 * fold, 10 * fold + 10))) for fold in range(10)]
    (folder / "fold_indices.txt").write_text(" \n".join(folds) + " \n")


@pytest.fixture
def root(tmp_path):
    write_stl10(tmp_path / "stl10_binary")
    return tmp_path


def open_split(root, split, path=""):
    return open_stl10(DataRequest(str(path), split, "original", 224, 0.5, 0, root))


@pytest.mark.parametrize(("split", "theirs"), [("train+validation", "train"), ("test", "test")])
def test_pictures_and_labels_are_torchvisions(root, split, theirs, monkeypatch):
    monkeypatch.setattr(datasets.STL10, "_check_integrity", lambda self: True)
    peer = datasets.STL10(str(root), split=theirs)
    ours = open_split(root, split)
    indices = np.arange(len(ours.labels))
    np.testing.assert_array_equal(ours.images(indices), peer.data)
    np.testing.assert_array_equal(ours.labels, peer.labels)
    assert list(ours.classes) == peer.classes


def test_a_picture_shows_rows_and_columns_the_right_way_round(root):
    raw = np.fromfile(root / "stl10_binary" / "test_X.bin", np.uint8).reshape(-1, 3, 96, 96)
    images = open_split(root, "test").images(np.array([7]))
    assert images[0, 2, 5, 80] == raw[7, 2, 80, 5]
    assert images.flags.c_contiguous


def test_validation_is_a_tenth_of_every_class_and_train_the_rest(root):
    train, validation = open_split(root, "train"), open_split(root, "validation")
    everything = open_split(root, "train+validation")
    assert np.bincount(validation.labels).tolist() == [2] * 10
    assert np.bincount(train.labels).tolist() == [21] * 10
    assert not set(train.sample_ids) & set(validation.sample_ids)
    assert {*train.sample_ids, *validation.sample_ids} == set(everything.sample_ids)


def test_a_sample_keeps_its_id_label_and_picture_in_every_split(root):
    part, everything = open_split(root, "validation"), open_split(root, "train+validation")
    where = np.array([everything.sample_ids.index(name) for name in part.sample_ids])
    np.testing.assert_array_equal(part.labels, everything.labels[where])
    images = part.images(np.arange(len(where)))
    np.testing.assert_array_equal(images, everything.images(where))


def test_the_split_is_fixed(root):
    ids = open_split(root, "validation").sample_ids
    assert ids[:3] == ("train/00001", "train/00010", "train/00011")


@pytest.mark.parametrize("below", ["", "stl10_binary"])
def test_the_path_is_the_folder_or_its_parent(root, tmp_path, below):
    dataset = open_split(tmp_path / "elsewhere", "test", path=root / below)
    assert dataset.sample_ids == open_split(root, "test").sample_ids
    assert dataset.name == "stl10/test"
    assert dataset.size == (96, 96)
    assert dataset.masks(np.array([0])) is None
    assert dataset.boxes(np.array([0])) is None


def test_fingerprints_tell_splits_and_contents_apart(root):
    prints = {split: open_split(root, split).fingerprint for split in SOURCES}
    assert len(set(prints.values())) == len(SOURCES)
    assert open_split(root, "test").fingerprint == prints["test"]
    with (root / "stl10_binary" / "test_X.bin").open("r+b") as file:
        file.write(b"changed")
    assert open_split(root, "test").fingerprint != prints["test"]
    assert open_split(root, "train").fingerprint == prints["train"]


@pytest.mark.parametrize("name", ["test_X.bin", "test_y.bin", "class_names.txt"])
def test_a_missing_file_says_what_to_get_and_where_it_goes(root, name):
    (root / "stl10_binary" / name).unlink()
    with pytest.raises(InputError, match=name) as caught:
        open_split(root, "test")
    for part in ("stl10_binary.tar.gz", "91f7769df0f17e558f3565bffb0c7dfb", f"{root}/stl10_binary"):
        assert part in str(caught.value)
    assert "stl10_binary/stl10_binary" not in str(caught.value)


def test_an_empty_root_says_the_same(tmp_path):
    with pytest.raises(InputError, match=rf"its files lie in {tmp_path}/stl10_binary$"):
        open_split(tmp_path, "train")


@pytest.mark.parametrize("size", [0, 1, 30 * 27648 - 1, 31 * 27648])
def test_a_size_that_does_not_fit_is_an_error(root, size):
    (root / "stl10_binary" / "test_X.bin").write_bytes(bytes(size))
    with pytest.raises(InputError, match=rf"expected 30 pictures.*got {size} bytes"):
        open_split(root, "test")


@pytest.mark.parametrize("label", [0, 11])
def test_a_label_outside_one_to_ten_is_an_error(root, label):
    (root / "stl10_binary" / "test_y.bin").write_bytes(bytes([1] * 29 + [label]))
    with pytest.raises(InputError, match=rf"expected labels from 1 to 10, got {label};"):
        open_split(root, "test")


def test_empty_labels_and_wrong_class_names_are_errors(root):
    (root / "stl10_binary" / "class_names.txt").write_text("cat dog")
    with pytest.raises(InputError, match="expected 10 class names, got 2"):
        open_split(root, "test")
    (root / "stl10_binary" / "test_y.bin").write_bytes(b"")
    with pytest.raises(InputError, match="got an empty file"):
        open_split(root, "test")


def test_an_unknown_split_is_an_error(root):
    with pytest.raises(InputError, match=r"split 'unlabeled' of stl10.*train\+validation"):
        open_split(root, "unlabeled")
