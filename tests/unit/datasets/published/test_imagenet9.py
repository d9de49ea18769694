from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from miniatures.imagenet9 import write_imagenet9
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, InterpolationMode, Resize
from torchvision.transforms.functional import to_pil_image

from ectool.datasets.base import DataRequest
from ectool.datasets.published.imagenet9 import IMAGENET9, open_imagenet9
from ectool.datasets.registry import open_dataset
from ectool.datasets.views import View
from ectool.errors import InputError

SIDE = 48
PER_CLASS = 3
AS_IT_IS = View(SIDE, "squash")
WITH_OBJECT = [variant for variant in IMAGENET9.variants if not variant.startswith("only_bg")]
MASK = "bg_challenge/fg_mask/val/00_dog/n02085620_00149.npy"


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    root = tmp_path_factory.mktemp("imagenet9")
    write_imagenet9(root / "imagenet9", per_class=PER_CLASS)
    return root


@pytest.fixture
def root(template, tmp_path):
    """A miniature that may be damaged."""
    return shutil.copytree(template, tmp_path / "root")


def open_split(root, split="test", variant="original", view=AS_IT_IS, path=""):
    return open_imagenet9(DataRequest(str(path), split, root, variant, view))


def everything(dataset):
    return np.arange(len(dataset.sample_ids))


@pytest.mark.parametrize("variant", IMAGENET9.variants)
def test_images_and_labels_are_what_the_official_loader_reads(template, variant):
    dataset = open_split(template, variant=variant)
    peer = ImageFolder(str(template / "imagenet9" / "bg_challenge" / variant / "val"))
    images = np.stack([np.asarray(image).transpose(2, 0, 1) for image, _ in peer])
    np.testing.assert_array_equal(dataset.images(everything(dataset)), images)
    assert dataset.labels.tolist() == peer.targets
    assert [f"{label:02d}_{name}" for label, name in enumerate(dataset.classes)] == peer.classes


def test_every_variant_holds_the_same_foregrounds_in_the_same_order(template):
    ids = {open_split(template, variant=variant).sample_ids for variant in IMAGENET9.variants}
    assert len(ids) == 1
    (ids,) = ids
    assert len(ids) == 9 * PER_CLASS
    assert ids[:2] == ("test/00_dog/n02085620_00012", "test/00_dog/n02085620_00149")
    assert ids[-1] == "test/08_fish/n01440764_00294"


def test_a_row_shows_the_same_object_in_every_variant_that_shows_it(template):
    original = open_split(template)
    rows = everything(original)
    masks = original.annotations(rows).masks
    objects = original.images(rows).transpose(0, 2, 3, 1)[masks].astype(int)
    for variant in ("mixed_same", "mixed_rand", "mixed_next", "only_fg"):
        images = open_split(template, variant=variant).images(rows)
        difference = abs(images.transpose(0, 2, 3, 1)[masks].astype(int) - objects)
        assert difference.mean() < 8, variant  # what JPEG leaves of the other background


def test_training_images_are_in_the_order_of_their_foregrounds(template):
    original = open_split(template, "train")
    mixed = open_split(template, "train", "mixed_rand")
    assert mixed.sample_ids == original.sample_ids
    numbers = [name.rpartition("_")[2] for name in original.sample_ids[:10]]
    assert numbers == ["1", "10", "2", "3", "4", "5", "6", "7", "8", "9"]


def test_splits_come_from_their_own_folders_and_share_nothing(template):
    splits = {split: open_split(template, split) for split in IMAGENET9.splits}
    assert {name: len(split.labels) for name, split in splits.items()} == {
        "train": 90,
        "validation": 9 * PER_CLASS,
        "test": 9 * PER_CLASS,
    }
    ids = [name for split in splits.values() for name in split.sample_ids]
    assert len(set(ids)) == len(ids)
    assert splits["train"].paths[0] == "in9l/train/00_dog/n02085620_1.JPEG"
    assert splits["validation"].paths[0] == "in9l/val/00_dog/n02085620_9000.JPEG"
    assert len({split.fingerprint for split in splits.values()}) == 3


@pytest.mark.parametrize("below", ["", "imagenet9", "imagenet9/bg_challenge"])
def test_the_path_is_the_folder_or_its_parent(template, tmp_path, below):
    dataset = open_split(tmp_path / "elsewhere", path=template / below)
    assert dataset.sample_ids == open_split(template).sample_ids
    assert dataset.name == "imagenet9/test/original"
    renamed = shutil.copytree(template / "imagenet9", tmp_path / "in9")
    assert open_split(tmp_path, path=renamed).fingerprint == dataset.fingerprint


@pytest.mark.parametrize("variant", WITH_OBJECT)
def test_masks_and_boxes_are_those_of_the_files(template, variant):
    dataset = open_split(template, variant=variant)
    found = dataset.annotations(everything(dataset))
    folder = template / "imagenet9" / "bg_challenge" / "fg_mask" / "val"
    for row, name in enumerate(dataset.sample_ids):
        mask = np.load(folder / f"{name.removeprefix('test/')}.npy")
        np.testing.assert_array_equal(found.masks[row], mask)
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert found.boxes[row].tolist() == [box]


@pytest.mark.parametrize(
    ("view", "transforms"),
    [
        (View(28, "crop"), [Resize(32, InterpolationMode.NEAREST), CenterCrop(28)]),
        (View(32, "squash"), [Resize((32, 32), InterpolationMode.NEAREST)]),
    ],
)
def test_masks_follow_the_view(template, view, transforms):
    seen = open_split(template, view=view).annotations(np.arange(5)).masks
    for row, mask in enumerate(open_split(template).annotations(np.arange(5)).masks):
        expected = to_pil_image(mask.astype(np.uint8) * 255)
        for transform in transforms:
            expected = transform(expected)
        np.testing.assert_array_equal(seen[row], np.asarray(expected) > 0)


@pytest.mark.parametrize(
    ("split", "variant"), [("test", "only_bg_b"), ("test", "only_bg_t"), ("train", "original")]
)
def test_without_an_object_or_a_mask_there_are_no_annotations(template, split, variant):
    found = open_split(template, split, variant).annotations(np.arange(3))
    assert found.masks is None
    assert found.boxes is None


def test_order_and_batches_change_nothing(template):
    dataset = open_split(template, "train", view=View(28, "crop"))
    order = np.array([40, 3, 89, 3])
    whole = dataset.images(everything(dataset))
    np.testing.assert_array_equal(dataset.images(order), whole[order])
    masked = open_split(template)
    some, all_of_them = np.array([7, 2]), masked.annotations(everything(masked)).masks
    np.testing.assert_array_equal(masked.annotations(some).masks, all_of_them[some])


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.int64])
def test_masks_of_numbers_are_read_like_boolean_ones(root, dtype):
    before = open_split(root).annotations(np.array([1])).masks
    path = root / "imagenet9" / MASK
    np.save(path, np.load(path).astype(dtype))
    np.testing.assert_array_equal(open_split(root).annotations(np.array([1])).masks, before)


def test_the_fingerprint_is_of_variant_images_and_masks(root):
    prints = {variant: open_split(root, variant=variant).fingerprint for variant in WITH_OBJECT}
    assert len(set(prints.values())) == len(WITH_OBJECT)
    background = open_split(root, variant="only_bg_t").fingerprint
    path = root / "imagenet9" / MASK
    np.save(path, ~np.load(path))
    changed = {variant: open_split(root, variant=variant).fingerprint for variant in WITH_OBJECT}
    assert not set(changed.values()) & set(prints.values())
    assert open_split(root, variant="only_bg_t").fingerprint == background


@pytest.mark.parametrize(
    ("split", "variant", "below", "archive"),
    [
        ("test", "mixed_next", "bg_challenge/mixed_next", "backgrounds_challenge_data.tar.gz"),
        ("test", "original", "bg_challenge/fg_mask", "backgrounds_challenge_data.tar.gz"),
        ("test", "original", "bg_challenge/original/val/05_insect", "backgrounds_challenge_data"),
        ("train", "original", "in9l/train", "in9l.tar.gz"),
        ("validation", "original", "in9l", "in9l.tar.gz"),
        ("validation", "mixed_rand", "mixed_rand", "mixed_rand.tar.gz"),
    ],
)
def test_errors_of_missing_files_name_archive_and_folder(root, split, variant, below, archive):
    shutil.rmtree(root / "imagenet9" / below)
    with pytest.raises(InputError, match=below) as caught:
        open_split(root, split, variant)
    assert f"a file of {archive}" in str(caught.value)
    assert str(caught.value).endswith(f"unpack it in {root}/imagenet9")


def test_an_empty_root_names_the_folder_below_it(tmp_path):
    with pytest.raises(InputError, match=rf"^{tmp_path}/imagenet9/bg_challenge/original/val/"):
        open_split(tmp_path)


def test_a_missing_mask_is_named(root):
    (root / "imagenet9" / MASK).unlink()
    with pytest.raises(InputError, match=r"n02085620_00149\.npy: expected a file of backgrounds"):
        open_split(root)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-5], "ValueError"),
        (lambda content: content[:40], "ValueError"),
        (lambda content: b"", "ValueError"),
        (lambda content: b"PK\x03\x04" + content, "ValueError"),
    ],
)
def test_damaged_masks_are_named(root, damage, message):
    path = root / "imagenet9" / MASK
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        InputError, match=rf"00149.npy: expected an array of numbers, got {message}"
    ):
        open_split(root).annotations(np.arange(3))


@pytest.mark.parametrize("shape", [(SIDE, SIDE + 1), (SIDE, SIDE, 1), (SIDE * SIDE,)])
def test_a_mask_of_another_shape_is_an_error(root, shape):
    np.save(root / "imagenet9" / MASK, np.ones(shape, np.bool_))
    with pytest.raises(InputError, match=r"expected 48 rows of 48 pixels, got shape \("):
        open_split(root).annotations(np.arange(3))


def test_pickles_are_not_opened(root):
    np.save(root / "imagenet9" / MASK, np.array([print, None]), allow_pickle=True)
    with pytest.raises(InputError, match="Python objects in dtype"):
        open_split(root).annotations(np.arange(3))


def test_a_truncated_image_is_named(root):
    path = root / "imagenet9" / "bg_challenge/only_fg/val/00_dog/n02085620_00149.JPEG"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"only_fg/val/00_dog/n02085620_00149\.JPEG"):
        open_split(root, variant="only_fg").images(np.arange(3))


def test_two_images_of_one_foreground_are_an_error(root):
    folder = root / "imagenet9" / "bg_challenge" / "mixed_same" / "val" / "00_dog"
    first = sorted(folder.iterdir())[0]
    shutil.copy(first, folder / "fg_n02085620_00012_bg_n02099601_00001.JPEG")
    request = DataRequest("", "test", root, "mixed_same", AS_IT_IS)
    with pytest.raises(InputError, match=r"once, got it 2 times, of .*00012_bg_.*00012_bg_"):
        open_dataset("imagenet9", request)


def test_hidden_files_and_files_that_are_not_images_are_left_out(root):
    folder = root / "imagenet9" / "bg_challenge" / "original" / "val" / "00_dog"
    (folder / "._n02085620_00012.JPEG").write_bytes(b"")
    (folder / "Thumbs.db").write_bytes(b"")
    assert len(open_split(root).sample_ids) == 9 * PER_CLASS


def test_the_registry_checks_splits_and_variants(template):
    request = DataRequest("", "test", template, "only_bg_b", AS_IT_IS)
    assert open_dataset("imagenet9", request).name == "imagenet9/test/only_bg_b"
    with pytest.raises(InputError, match="only_bg_t"):
        open_dataset("imagenet9", replace(request, variant="only_bg"))
    with pytest.raises(InputError, match="split 'unlabeled' of imagenet9"):
        open_dataset("imagenet9", replace(request, split="unlabeled"))
