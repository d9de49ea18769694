from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from torchvision import datasets, transforms
from torchvision.transforms import InterpolationMode

from ectool.datasets.base import SPLITS, DataRequest
from ectool.datasets.own.imagefolder import open_imagefolder
from ectool.datasets.views import View
from ectool.errors import InputError

SIDE = 20
CLASSES = ("a bird", "Zebra", "ant")


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (30, 24)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def write_class_folders(folder: Path, per_class: int, suffixes=("png", "JPG", "bmp")) -> None:
    for label, name in enumerate(CLASSES):
        for number in range(per_class):
            seed = 100 * label + number
            path = folder / name / f"{number}.{suffixes[number % len(suffixes)]}"
            write_image(path, seed, (20 + 7 * number % 31, 25 + label))


def write_masks(folder: Path) -> None:
    """Give every image a mask whose object is the upper left quarter."""
    images = [path for path in folder.rglob("*.*") if path.suffix != ".csv"]
    for path in [path for path in images if "masks" not in path.parts]:
        with Image.open(path) as image:
            mask = np.zeros(image.size[::-1], np.uint8)
        mask[: len(mask) // 2, : mask.shape[1] // 2] = 7
        target = (folder / "masks" / path.relative_to(folder)).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(target)


@pytest.fixture
def split_folder(tmp_path):
    folder = tmp_path / "with splits"
    for name, count in {"train": 4, "val": 2, "test": 3}.items():
        write_class_folders(folder / name, count)
    return folder


@pytest.fixture
def flat_folder(tmp_path):
    folder = tmp_path / "flat"
    write_class_folders(folder, 20, suffixes=("png",))
    return folder


def open_split(folder, split, root=None, view=None):
    return open_imagefolder(
        DataRequest(
            path=str(folder), split=split, root=root or folder.parent, view=view or View(SIDE)
        )
    )


def write_boxes(folder: Path, *rows: str) -> None:
    (folder / "boxes.csv").write_text("\n".join(["path,x0,y0,x1,y1", *rows]) + "\n")


def every(dataset):
    return np.arange(len(dataset.sample_ids))


@pytest.mark.parametrize(("split", "group"), [("train", "train"), ("validation", "val")])
def test_images_labels_and_order_are_torchvisions(split_folder, split, group):
    view = transforms.Compose(
        [transforms.Resize(round(SIDE * 256 / 224)), transforms.CenterCrop(SIDE)]
    )
    peer = datasets.ImageFolder(split_folder / group, view)
    ours = open_split(split_folder, split)
    assert ours.classes == tuple(peer.classes)
    assert [str(split_folder / name) for name in ours.sample_ids] == [p for p, _ in peer.samples]
    np.testing.assert_array_equal(ours.labels, peer.targets)
    expected = np.stack([np.asarray(image).transpose(2, 0, 1) for image, _ in peer])
    np.testing.assert_array_equal(ours.images(every(ours)), expected)


def test_names_sizes_and_ids(split_folder):
    dataset = open_split(split_folder, "test")
    assert dataset.name == "imagefolder/with splits/test"
    assert dataset.size == (SIDE, SIDE)
    assert dataset.sample_ids[-1] == "test/ant/2.bmp"
    assert dataset.labels.dtype == np.int64
    assert dataset.annotations(every(dataset)).masks is None
    assert dataset.annotations(every(dataset)).boxes is None


@pytest.mark.parametrize("group", ["val", "validation", "valid"])
def test_the_validation_folder_has_three_names(split_folder, group):
    (split_folder / "val").rename(split_folder / group)
    assert open_split(split_folder, "validation").sample_ids[0] == f"{group}/Zebra/0.png"


def test_two_validation_folders_are_an_error(split_folder):
    shutil.copytree(split_folder / "val", split_folder / "valid")
    with pytest.raises(InputError, match="one folder for each split, got train, val, valid, test"):
        open_split(split_folder, "train")


def test_the_order_of_the_listing_does_not_matter(split_folder, tmp_path):
    mirror = tmp_path / "mirror" / "with splits"
    for path in sorted(split_folder.rglob("*.*"), reverse=True):
        (mirror / path.relative_to(split_folder)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, mirror / path.relative_to(split_folder))
    ours, theirs = open_split(split_folder, "train"), open_split(mirror, "train")
    assert ours.sample_ids == theirs.sample_ids
    assert ours.fingerprint == theirs.fingerprint


@pytest.mark.parametrize("fixture", ["split_folder", "flat_folder"])
def test_splits_share_no_sample_and_make_up_the_whole(fixture, request):
    folder = request.getfixturevalue(fixture)
    parts = [name for split in SPLITS for name in open_split(folder, split).sample_ids]
    assert len(parts) == len(set(parts))
    assert set(parts) == set(open_split(folder, "all").sample_ids)


def test_the_hash_split_is_stable_when_images_come_and_go(flat_folder):
    before = {s: set(open_split(flat_folder, s).sample_ids) for s in SPLITS}
    removed = "ant/3.png"
    (flat_folder / removed).unlink()
    write_image(flat_folder / "ant" / "new.png")
    for split in SPLITS:
        after = set(open_split(flat_folder, split).sample_ids)
        assert after - {"ant/new.png"} == before[split] - {removed}


def test_classes_are_the_same_in_every_split(split_folder):
    shutil.rmtree(split_folder / "val" / "a bird")
    validation = open_split(split_folder, "validation")
    assert validation.classes == open_split(split_folder, "train").classes
    assert set(validation.labels) == {0, 2}


def test_hidden_and_foreign_files_are_skipped(split_folder):
    ids = open_split(split_folder, "train").sample_ids
    for name in ("._0.png", "Thumbs.db", "notes.txt", ".cache/0.png"):
        write_image(split_folder / "train" / "ant" / "kept.png")
        target = split_folder / "train" / "ant" / name
        target.parent.mkdir(exist_ok=True)
        (split_folder / "train" / "ant" / "kept.png").rename(target)
    (split_folder / "train" / ".ipynb_checkpoints").mkdir()
    assert open_split(split_folder, "train").sample_ids == ids


def test_images_in_nested_folders_belong_to_the_class_above(split_folder):
    write_image(split_folder / "train" / "ant" / "deep" / "er" / "x.png")
    dataset = open_split(split_folder, "train")
    assert dataset.sample_ids[-1] == "train/ant/deep/er/x.png"
    assert dataset.labels[-1] == 2


@pytest.mark.parametrize("fixture", ["split_folder", "flat_folder"])
def test_masks_follow_their_images(fixture, request):
    folder = request.getfixturevalue(fixture)
    write_masks(folder)
    dataset = open_split(folder, "test")
    masks = dataset.annotations(every(dataset)).masks
    view = transforms.Compose(
        [
            transforms.Resize(round(SIDE * 256 / 224), InterpolationMode.NEAREST),
            transforms.CenterCrop(SIDE),
        ]
    )
    for sample_id, mask in zip(dataset.sample_ids, masks, strict=True):
        with Image.open((folder / "masks" / sample_id).with_suffix(".png")) as file:
            np.testing.assert_array_equal(mask, np.asarray(view(file)) > 0)
    assert "masks" not in dataset.classes


def test_a_mask_matches_the_displayed_image(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = 255  # the left half, which is displayed on top
    (tmp_path / "test" / "x").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "test" / "x" / "p.png", exif=exif)
    mask = np.zeros((40, 20), np.uint8)
    mask[:20] = 1
    (tmp_path / "masks" / "test" / "x").mkdir(parents=True)
    Image.fromarray(mask).save(tmp_path / "masks" / "test" / "x" / "p.png")
    dataset = open_split(tmp_path, "test")
    image = dataset.images(np.array([0]))[0, 0]
    inside = dataset.annotations(np.array([0])).masks[0]
    assert (image[inside] > 100).all()
    assert (image[~inside] < 155).all()


def test_splits_without_a_masks_folder_have_none(split_folder):
    write_masks(split_folder)
    shutil.rmtree(split_folder / "masks" / "train")
    for split, known in {"train": False, "all": False, "test": True}.items():
        found = open_split(split_folder, split).annotations(np.array([0]))
        assert (found.masks is not None) == known


def test_a_single_missing_mask_is_an_error(split_folder):
    write_masks(split_folder)
    (split_folder / "masks" / "test" / "ant" / "1.png").unlink()
    with pytest.raises(InputError, match=r"masks/test/ant/1\.png.*the mask of test/ant/1\.JPG"):
        open_split(split_folder, "test")


def test_a_mask_of_another_size_is_an_error(split_folder):
    write_masks(split_folder)
    write_image(split_folder / "masks" / "test" / "ant" / "1.png", size=(9, 8))
    dataset = open_split(split_folder, "test")
    with pytest.raises(InputError, match=r"ant/1\.png: expected 27 x 27 pixels.*got 9 x 8"):
        dataset.annotations(every(dataset))


def test_a_truncated_image_is_an_error_when_it_is_read_and_not_before(split_folder):
    path = split_folder / "train" / "a bird" / "1.JPG"
    path.write_bytes(path.read_bytes()[:400])
    dataset = open_split(split_folder, "train")
    bad = dataset.sample_ids.index("train/a bird/1.JPG")
    assert dataset.images(np.array([bad - 1, bad + 1])).any()
    with pytest.raises(InputError, match=r"a bird/1\.JPG: expected a readable image"):
        dataset.images(every(dataset))


@pytest.mark.parametrize("kind", ["crop", "squash"])
def test_boxes_are_rows_of_a_file(split_folder, kind):
    write_boxes(
        split_folder,
        "test/Zebra/1.JPG,1,2,13,14",
        "train/ant/0.png,0,0,3,3",
        "test/ant/0.png,0,0,5.5,5",
        "./test/Zebra/1.JPG, 10, 10, 40, 30",
    )
    dataset = open_split(split_folder, "test", view=View(SIDE, kind))
    drawn = {
        "test/Zebra/1.JPG": [[1, 2, 13, 14], [10, 10, 40, 30]],
        "test/ant/0.png": [[0, 0, 5.5, 5]],
    }
    found = dataset.annotations(every(dataset))
    assert found.masks is None
    for sample_id, boxes in zip(dataset.sample_ids, found.boxes, strict=True):
        with Image.open(split_folder / sample_id) as image:
            placement = View(SIDE, kind).place(*image.size)
        expected = np.array(drawn.get(sample_id, []), np.float64).reshape(-1, 4)
        np.testing.assert_array_equal(boxes, placement.boxes(expected))


def test_a_box_refers_to_the_displayed_image(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    (tmp_path / "test" / "x").mkdir(parents=True)
    Image.new("RGB", (40, 20)).save(tmp_path / "test" / "x" / "p.png", exif=exif)
    write_boxes(tmp_path, "test/x/p.png,0,30,20,40")
    dataset = open_split(tmp_path, "test", view=View(20, "squash"))
    assert dataset.annotations(np.array([0])).boxes[0].tolist() == [[0, 15, 20, 20]]


def test_masks_and_boxes_live_together_and_splits_without_rows_have_no_boxes(split_folder):
    write_masks(split_folder)
    write_boxes(split_folder, "train/ant/0.png,0,0,5,5")
    train, test = (open_split(split_folder, split) for split in ("train", "test"))
    assert train.annotations(every(train)).masks is not None
    assert train.annotations(every(train)).boxes[0].shape == (0, 4)
    (derived,) = test.annotations(np.array([0])).boxes
    assert derived[0, 2] > derived[0, 0]


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ("test/ant/9.png,1,2,3,4", r"line 2: expected an image of .* got test/ant/9\.png"),
        ("test/ant/0.png,,,,", r"line 2: expected an image of .* and its box"),
        ("test/ant/0.png,1,2,3,", r"line 2: expected a box .*got 1, 2, 3, ;"),
        ("test/ant/0.png,1,2,x,4", r"line 2: expected a box .*got 1, 2, x, 4;"),
        ("test/ant/0.png,1,2,nan,4", r"line 2: expected a box .*got 1, 2, nan, 4;"),
        ("test/ant/0.png,9,2,3,4", r"line 2: expected a box .*got 9, 2, 3, 4;"),
        ("test/ant/0.png,0.1,0.2,0.7,0.9", "line 2: expected a box .*at least one pixel"),
        ("test/ant/0.png,1,2,3", "line 2: expected 5 cells, as in the header, got 4;"),
    ],
)
def test_a_row_that_is_no_box_is_an_error(split_folder, row, match):
    write_boxes(split_folder, row)
    with pytest.raises(InputError, match=rf"boxes\.csv, {match}"):
        open_split(split_folder, "test")


def test_a_box_outside_its_image_is_an_error(split_folder):
    write_boxes(split_folder, "test/ant/1.JPG,2,2,9,9", "test/ant/1.JPG,27,0,40,9")
    dataset = open_split(split_folder, "test")
    with pytest.raises(
        InputError, match=r"ant/1\.JPG: expected a part of its 27 x 27 pixels, got 27"
    ):
        dataset.annotations(every(dataset))


def test_the_fingerprint_is_of_masks_and_boxes_too(split_folder, tmp_path):
    def fingerprint():
        return open_split(split_folder, "test", root=tmp_path).fingerprint

    seen = [fingerprint(), open_split(split_folder, "train", root=tmp_path).fingerprint]
    write_boxes(split_folder, "train/ant/0.png,0,0,5,5")
    assert fingerprint() == seen[0]
    write_boxes(split_folder, "test/ant/0.png,0,0,5,5")
    seen.append(fingerprint())
    write_boxes(split_folder, "test/ant/0.png,0,0,5,6")
    seen.append(fingerprint())
    write_masks(split_folder)
    seen.append(fingerprint())
    Image.new("L", (27, 25), 1).save(split_folder / "masks" / "test" / "Zebra" / "1.png")
    seen.append(fingerprint())
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("path", ["", "/nowhere at all"])
def test_a_missing_folder_is_an_error(tmp_path, path):
    with pytest.raises(InputError, match=rf"imagefolder:{path}: expected an existing folder"):
        open_imagefolder(DataRequest(path=path, split="train", root=tmp_path))


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(InputError, match="expected images of the split 'train'"):
        open_split(tmp_path, "train")


def test_a_class_without_images_is_an_error(split_folder):
    (split_folder / "train" / "empty one").mkdir()
    with pytest.raises(InputError, match=r"empty one: expected images .*got none"):
        open_split(split_folder, "train")


def test_a_split_that_is_not_there_is_an_error(split_folder):
    shutil.rmtree(split_folder / "val")
    with pytest.raises(
        InputError, match="'validation' of imagefolder: expected one of train, test"
    ):
        open_split(split_folder, "validation")
    with pytest.raises(InputError, match="'dev' of imagefolder"):
        open_split(split_folder, "dev")
