from __future__ import annotations

import shutil

import numpy as np
import pytest
from miniatures.stl10 import write_stl10
from torchvision import datasets

from ectool.datasets.base import DataRequest
from ectool.datasets.published.stl10 import SOURCES, open_stl10
from ectool.errors import InputError


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    """Write the miniature once; not to be changed, see `root`."""
    folder = tmp_path_factory.mktemp("miniature")
    write_stl10(folder / "stl10_binary")
    return folder


@pytest.fixture
def root(miniature, tmp_path):
    shutil.copytree(miniature / "stl10_binary", tmp_path / "stl10_binary")
    return tmp_path


def open_split(root, split, path="", fold=None):
    return open_stl10(DataRequest(path=str(path), split=split, root=root, fold=fold))


@pytest.fixture
def trusting(monkeypatch):
    """Let torchvision read files that are not the published ones."""
    monkeypatch.setattr(datasets.STL10, "_check_integrity", lambda self: True)


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    ("split", "theirs", "fold"),
    [
        ("train+validation", "train", None),
        ("test", "test", None),
        ("unlabeled", "unlabeled", None),
        ("train", "train", 0),
        ("train", "train", 9),
    ],
)
def test_images_and_labels_are_torchvisions(miniature, split, theirs, fold):
    peer = datasets.STL10(str(miniature), split=theirs, folds=fold)
    ours = open_split(miniature, split, fold=fold)
    indices = np.arange(len(ours.labels))
    np.testing.assert_array_equal(ours.images(indices), peer.data)
    np.testing.assert_array_equal(ours.labels, peer.labels)
    assert list(ours.classes) == peer.classes


def test_rows_and_columns_of_an_image_are_not_swapped(miniature):
    raw = np.fromfile(miniature / "stl10_binary" / "test_X.bin", np.uint8).reshape(-1, 3, 96, 96)
    images = open_split(miniature, "test").images(np.array([7]))
    assert images[0, 2, 5, 80] == raw[7, 2, 80, 5]
    assert images.flags.c_contiguous


def test_validation_is_a_tenth_of_every_class_and_train_the_rest(miniature):
    train, validation = open_split(miniature, "train"), open_split(miniature, "validation")
    everything = open_split(miniature, "train+validation")
    assert np.bincount(validation.labels).tolist() == [2] * 10
    assert np.bincount(train.labels).tolist() == [21] * 10
    assert not set(train.sample_ids) & set(validation.sample_ids)
    assert {*train.sample_ids, *validation.sample_ids} == set(everything.sample_ids)


def test_a_sample_keeps_its_id_label_and_image_in_every_split(miniature):
    part, everything = (
        open_split(miniature, "validation"),
        open_split(miniature, "train+validation"),
    )
    where = np.array([everything.sample_ids.index(name) for name in part.sample_ids])
    np.testing.assert_array_equal(part.labels, everything.labels[where])
    images = part.images(np.arange(len(where)))
    np.testing.assert_array_equal(images, everything.images(where))


def test_the_split_is_fixed(miniature):
    ids = open_split(miniature, "validation").sample_ids
    assert ids[:3] == ("train/00001", "train/00010", "train/00011")


@pytest.mark.parametrize("below", ["", "stl10_binary"])
def test_the_path_is_the_folder_or_its_parent(miniature, tmp_path, below):
    dataset = open_split(tmp_path / "elsewhere", "test", path=miniature / below)
    assert dataset.sample_ids == open_split(miniature, "test").sample_ids
    assert dataset.name == "stl10/test"
    assert dataset.size == (96, 96)
    assert dataset.annotations(np.array([0])).masks is None


def test_fingerprints_tell_splits_and_contents_apart(root):
    prints = {split: open_split(root, split).fingerprint for split in SOURCES}
    assert len(set(prints.values())) == len(SOURCES)
    assert open_split(root, "test").fingerprint == prints["test"]
    with (root / "stl10_binary" / "test_X.bin").open("r+b") as file:
        file.write(b"changed")
    assert open_split(root, "test").fingerprint != prints["test"]
    assert open_split(root, "train").fingerprint == prints["train"]


@pytest.mark.parametrize("name", ["test_X.bin", "test_y.bin", "class_names.txt"])
def test_the_error_of_a_missing_file_names_archive_and_folder(root, name):
    (root / "stl10_binary" / name).unlink()
    with pytest.raises(InputError, match=name) as caught:
        open_split(root, "test")
    for part in ("stl10_binary.tar.gz", "91f7769df0f17e558f3565bffb0c7dfb", f"unpack it in {root}"):
        assert part in str(caught.value)


def test_the_error_of_an_empty_root_is_the_same(tmp_path):
    with pytest.raises(InputError, match=rf"get stl10_binary.tar.gz and unpack it in {tmp_path}$"):
        open_split(tmp_path, "train")


@pytest.mark.parametrize("size", [0, 1, 30 * 27648 - 1, 31 * 27648])
def test_a_size_that_does_not_fit_is_an_error(root, size):
    (root / "stl10_binary" / "test_X.bin").write_bytes(bytes(size))
    with pytest.raises(InputError, match=rf"expected 30 images.*got {size} bytes"):
        open_split(root, "test")


@pytest.mark.parametrize("label", [0, 11])
def test_a_label_outside_one_to_ten_is_an_error(root, label):
    (root / "stl10_binary" / "test_y.bin").write_bytes(bytes([1] * 29 + [label]))
    with pytest.raises(InputError, match=rf"expected labels from 1 to 10, got {label};"):
        open_split(root, "test")


def test_empty_labels_and_invalid_class_names_are_errors(root):
    (root / "stl10_binary" / "class_names.txt").write_text("cat dog")
    with pytest.raises(InputError, match="expected 10 class names, got 2"):
        open_split(root, "test")
    (root / "stl10_binary" / "test_y.bin").write_bytes(b"")
    with pytest.raises(InputError, match="got an empty file"):
        open_split(root, "test")


def test_unlabelled_images_have_no_label(miniature):
    unlabeled = open_split(miniature, "unlabeled")
    assert unlabeled.labels.tolist() == [-1] * 12
    assert unlabeled.sample_ids[11] == "unlabeled/00011"


def test_outside_a_fold_is_its_validation_split(miniature):
    train, validation = (open_split(miniature, s, fold=3) for s in ("train", "validation"))
    everything = open_split(miniature, "train+validation", fold=3)
    assert sorted([*train.sample_ids, *validation.sample_ids]) == sorted(everything.sample_ids)
    assert (len(train.labels), len(validation.labels)) == (46, 184)
    assert train.name == "stl10/train/fold3"


def test_fingerprints_tell_folds_apart(miniature):
    folds = (None, 0, 1)
    assert len({open_split(miniature, "train", fold=fold).fingerprint for fold in folds}) == 3


@pytest.mark.parametrize("fold", [-1, 10])
def test_a_fold_that_does_not_exist_is_an_error(miniature, fold):
    with pytest.raises(InputError, match=rf"fold {fold} of stl10: expected 0 to 9"):
        open_split(miniature, "train", fold=fold)


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ("0 1 2\n", "expected 10 lines of positions"),
        ("0 1 2\n0 one 2\n" + 8 * "0\n", "expected 10 lines of positions"),
        ("0\n\n" + 8 * "0\n", "expected positions from 0 to 229 in line 2"),
        ("0\n0 230\n" + 8 * "0\n", "expected positions from 0 to 229 in line 2"),
        ("0\n-1 2\n" + 8 * "0\n", "expected positions from 0 to 229 in line 2"),
    ],
)
def test_a_damaged_list_of_folds_is_an_error(root, lines, match):
    (root / "stl10_binary" / "fold_indices.txt").write_text(lines)
    with pytest.raises(InputError, match=rf"fold_indices\.txt: {match}"):
        open_split(root, "train", fold=1)


def test_a_file_that_is_cut_off_while_it_is_read_is_an_error(root):
    dataset = open_split(root, "test")
    path = root / "stl10_binary" / "test_X.bin"
    path.write_bytes(path.read_bytes()[:-1])
    assert dataset.images(np.arange(29)).shape == (29, 3, 96, 96)
    with pytest.raises(InputError, match=r"test_X\.bin: expected image 29, got the end"):
        dataset.images(np.arange(30))


@pytest.mark.parametrize("size", [0, 27647, 27649])
def test_unlabelled_images_that_are_cut_off_are_an_error(root, size):
    (root / "stl10_binary" / "unlabeled_X.bin").write_bytes(bytes(size))
    with pytest.raises(InputError, match=rf"images of 27648 bytes each, got {size} bytes"):
        open_split(root, "unlabeled")


def test_an_unknown_split_is_an_error(miniature):
    with pytest.raises(InputError, match=r"split 'dev' of stl10.*train\+validation.*unlabeled"):
        open_split(miniature, "dev")
