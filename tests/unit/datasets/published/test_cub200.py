from __future__ import annotations

import numpy as np
import pytest
from miniatures.cub200 import CLASSES, PARTS, write_cub200
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from ectool.datasets.base import DataRequest
from ectool.datasets.published.cub200 import SPLITS, open_cub200
from ectool.datasets.views import View
from ectool.errors import InputError

SIDE = 96


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Return a root with the data set; not to be changed, see `own`."""
    root = tmp_path_factory.mktemp("cub200")
    write_cub200(root)
    return root


@pytest.fixture
def own(tmp_path):
    """Return a root with a small data set of one's own."""
    write_cub200(tmp_path, per_class=4)
    return tmp_path


def open_split(root, split="test", kind="squash", path=""):
    return open_cub200(DataRequest(path=path, split=split, root=root, view=View(SIDE, kind)))


def table(root, name):
    """Read a table as its README explains it: lines of words."""
    lines = (root / "CUB_200_2011" / name).read_text().splitlines()
    return [line.split(" ") for line in lines]


def by_name(root, name):
    """Return the numbers that a table gives for each image, by the name of the image."""
    names = dict(table(root, "images.txt"))
    return {names[number]: [float(word) for word in rest] for number, *rest in table(root, name)}


def peer_view(kind, interpolation):
    if kind == "squash":
        return transforms.Resize((SIDE, SIDE), interpolation)
    shorter = transforms.Resize(round(SIDE * 256 / 224), interpolation)
    return transforms.Compose([shorter, transforms.CenterCrop(SIDE)])


def every(dataset):
    return np.arange(len(dataset.sample_ids))


@pytest.mark.parametrize(("split", "flag"), [("train+validation", 1.0), ("test", 0.0)])
def test_images_labels_and_order_are_those_of_the_tables(shared, split, flag):
    dataset = open_split(shared, split)
    training = by_name(shared, "train_test_split.txt")
    names = [name for _, name in table(shared, "images.txt") if training[name] == [flag]]
    assert list(dataset.sample_ids) == names
    assert dataset.classes == tuple(name for _, name in table(shared, "classes.txt"))
    assert dataset.classes[0] == "001.Black_footed_Albatross"
    assert dataset.labels.dtype == np.int64
    for name, label in zip(names, dataset.labels, strict=True):
        assert name.startswith(f"{dataset.classes[label]}/")
    resize = peer_view("squash", InterpolationMode.BILINEAR)
    few = every(dataset)[::-13].copy()
    for index, shown in zip(few, dataset.images(few), strict=True):
        with Image.open(shared / "CUB_200_2011" / "images" / names[index]) as image:
            expected = np.asarray(resize(image.convert("RGB")))
        np.testing.assert_array_equal(shown, expected.transpose(2, 0, 1))


def test_grey_images_are_read_and_stray_twins_are_not(shared):
    dataset = open_split(shared, "train+validation")
    images = dataset.images(every(dataset)).astype(np.int64)
    is_grey = (images == images[:, :1]).all(axis=(1, 2, 3))
    assert 0 < is_grey.sum() < len(is_grey)
    assert list((shared / "CUB_200_2011" / "images").rglob("*_rgb.jpg"))
    assert not any("_rgb" in name for name in dataset.sample_ids)


@pytest.mark.parametrize("kind", ["crop", "squash"])
def test_masks_are_where_at_least_half_of_five_annotators_agree(shared, kind):
    dataset = open_split(shared, "test", kind)
    masks = dataset.annotations(every(dataset)).masks
    view, modes = peer_view(kind, InterpolationMode.NEAREST), set()
    for name, mask in zip(dataset.sample_ids, masks, strict=True):
        with Image.open((shared / "segmentations" / name).with_suffix(".png")) as votes:
            modes.add(votes.mode)
            levels = np.asarray(view(votes.getchannel("L")))
        np.testing.assert_array_equal(mask, levels // 51 >= 3)
    assert modes == {"L", "LA"}


def landed(kind, size, point):
    """Return where a point of an image lies in the view, from the definition of the view."""
    if kind == "squash":
        return [SIDE * at / length for at, length in zip(point, size, strict=True)]
    short = round(SIDE * 256 / 224)
    resized = [int(short * length / min(size)) for length in size]
    return [
        at * new / old - round((new - SIDE) / 2)
        for at, new, old in zip(point, resized, size, strict=True)
    ]


@pytest.mark.parametrize("kind", ["crop", "squash"])
def test_boxes_and_parts_are_where_the_tables_put_them(shared, kind):
    dataset = open_split(shared, "test", kind)
    boxes = by_name(shared, "bounding_boxes.txt")
    found = dataset.annotations(every(dataset))
    numbers = {name: number for number, name in table(shared, "images.txt")}
    parts = {(row[0], row[1]): row[2:] for row in table(shared, "parts/part_locs.txt")}
    assert found.parts.shape == (len(dataset.sample_ids), len(PARTS), 3)
    for index, name in enumerate(dataset.sample_ids):
        with Image.open(shared / "CUB_200_2011" / "images" / name) as image:
            size = image.size
        x, y, width, height = boxes[name]
        low = np.floor(np.clip(landed(kind, size, (x, y)), 0, SIDE))
        high = np.ceil(np.clip(landed(kind, size, (x + width, y + height)), 0, SIDE))
        np.testing.assert_allclose(found.boxes[index], [[*low, *high]], atol=1e-9)
        for number in range(len(PARTS)):
            *point, visible = map(float, parts[numbers[name], str(number + 1)])
            expected = [*landed(kind, size, point), visible]
            np.testing.assert_allclose(found.parts[index, number], expected, atol=1e-9)


def test_visible_parts_lie_on_the_bird(shared):
    dataset = open_split(shared, "test")
    found = dataset.annotations(every(dataset))
    rows, numbers = np.nonzero(found.parts[:, :, 2])
    x, y = found.parts[rows, numbers, :2].astype(np.int64).T
    assert found.masks[rows, y, x].mean() > 0.9


def test_without_segmentations_there_are_boxes_and_parts(own):
    with_masks = open_split(own).fingerprint
    (own / "segmentations").rename(own / "put away")
    dataset = open_split(own)
    found = dataset.annotations(every(dataset))
    assert found.masks is None
    assert len(found.boxes) == len(found.parts) == len(dataset.sample_ids)
    assert dataset.fingerprint != with_masks


def test_segmentations_may_lie_in_the_data_set_as_well(own):
    beside = open_split(own).annotations(np.arange(3)).masks
    (own / "segmentations").rename(own / "CUB_200_2011" / "segmentations")
    np.testing.assert_array_equal(open_split(own).annotations(np.arange(3)).masks, beside)


def test_validation_is_a_tenth_of_every_class_and_train_the_rest(shared):
    parts = {split: open_split(shared, split) for split in SPLITS}
    counts = {split: np.bincount(part.labels).tolist() for split, part in parts.items()}
    assert counts == {
        "train": [18] * len(CLASSES),
        "validation": [2] * len(CLASSES),
        "train+validation": [20] * len(CLASSES),
        "test": [20] * len(CLASSES),
    }
    ids = {split: set(part.sample_ids) for split, part in parts.items()}
    assert ids["train"] | ids["validation"] == ids["train+validation"]
    assert len(ids["train+validation"] | ids["test"]) == len(table(shared, "images.txt"))
    assert len({part.fingerprint for part in parts.values()}) == len(SPLITS)


def test_a_sample_keeps_its_annotations_in_every_split(shared):
    part, whole = open_split(shared, "validation"), open_split(shared, "train+validation")
    where = np.array([whole.sample_ids.index(name) for name in part.sample_ids])
    ours, theirs = part.annotations(every(part)), whole.annotations(where)
    np.testing.assert_array_equal(part.labels, whole.labels[where])
    np.testing.assert_array_equal(ours.masks, theirs.masks)
    np.testing.assert_array_equal(ours.boxes, theirs.boxes)
    np.testing.assert_array_equal(ours.parts, theirs.parts)


@pytest.mark.parametrize("below", ["", "CUB_200_2011"])
def test_the_path_is_the_folder_or_its_parent(shared, tmp_path, below):
    dataset = open_split(tmp_path, path=str(shared / below))
    assert dataset.fingerprint == open_split(shared).fingerprint
    assert dataset.annotations(np.array([0])).masks is not None


@pytest.mark.parametrize("name", ["bounding_boxes.txt", "parts/part_locs.txt"])
def test_the_fingerprint_changes_with_the_annotations(own, name):
    before = open_split(own).fingerprint
    path = own / "CUB_200_2011" / name
    path.write_text(path.read_text().replace("1.0", "2.0"))
    assert open_split(own).fingerprint != before


def test_the_order_of_the_tables_does_not_matter(own):
    before = open_split(own, "train+validation")
    for name in ("image_class_labels.txt", "bounding_boxes.txt", "parts/part_locs.txt"):
        path = own / "CUB_200_2011" / name
        path.write_text("\r\n".join(path.read_text().splitlines()[::-1]))
    after = open_split(own, "train+validation")
    np.testing.assert_array_equal(after.labels, before.labels)
    ours, theirs = after.annotations(np.arange(4)), before.annotations(np.arange(4))
    np.testing.assert_array_equal(ours.boxes, theirs.boxes)
    np.testing.assert_array_equal(ours.parts, theirs.parts)


TABLES = (
    *("images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt"),
    *("bounding_boxes.txt", "parts/parts.txt", "parts/part_locs.txt"),
)


@pytest.mark.parametrize("name", [*TABLES, "images/{}"])
def test_the_error_of_a_missing_file_names_archive_and_folder(own, name):
    path = own / "CUB_200_2011" / name.format(open_split(own).sample_ids[2])
    path.unlink()
    with pytest.raises(InputError, match=f"{path}: .*97eceeb196236b17998738112f37df78") as caught:
        open_split(own, path=str(own / "CUB_200_2011"))
    assert str(caught.value).endswith(f"get CUB_200_2011.tgz and unpack it in {own}")


def test_a_missing_segmentation_names_the_other_archive(own):
    name = open_split(own).sample_ids[2]
    (own / "segmentations" / name).with_suffix(".png").unlink()
    with pytest.raises(InputError, match=r"segmentations\.tgz \(MD5 4d47ba1228eae64f2fa547c47b"):
        open_split(own)


def test_the_error_of_an_empty_root_names_the_archive(tmp_path):
    with pytest.raises(InputError, match=rf"{tmp_path}/CUB_200_2011/images.txt: .*{tmp_path}$"):
        open_split(tmp_path)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_was_cut_off_is_an_error(own, name):
    path = own / "CUB_200_2011" / name
    path.write_text(path.read_text().rsplit(" ", 1)[0])
    with pytest.raises(InputError, match=rf"{path}: expected .*unpack CUB_200_2011\.tgz"):
        open_split(own)


@pytest.mark.parametrize("name", ["images.txt", "classes.txt", "parts/parts.txt"])
def test_a_list_that_misses_what_other_tables_have_is_an_error(own, name):
    path = own / "CUB_200_2011" / name
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError, match=r"expected .*unpack CUB_200_2011\.tgz"):
        open_split(own)


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_table_is_an_error(own, name):
    (own / "CUB_200_2011" / name).write_text("\n")
    with pytest.raises(InputError, match=rf"{name}: expected one line per entry, got an empty"):
        open_split(own)


@pytest.mark.parametrize(
    ("name", "old", "new", "match"),
    [
        ("images.txt", "2 ", "1 ", "expected a unique number"),
        ("classes.txt", "1 ", "one ", "expected a unique number"),
        (
            "image_class_labels.txt",
            " 1\n",
            " 201\n",
            "of classes.txt, got 201;",
        ),
        (
            "train_test_split.txt",
            " 1\n",
            " one\n",
            "could not convert string 'one'",
        ),
        (
            "bounding_boxes.txt",
            ".0\n",
            ".0 5\n",
            "the number of columns changed",
        ),
        (
            "parts/part_locs.txt",
            "1 2 ",
            "1 16 ",
            "expected 3 numbers after .* got other",
        ),
    ],
)
def test_a_damaged_table_is_an_error_that_names_it(own, name, old, new, match):
    path = own / "CUB_200_2011" / name
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=rf"{name}: .*{match}"):
        open_split(own)


def test_a_damaged_segmentation_is_an_error_that_names_it(own):
    dataset = open_split(own)
    path = (own / "segmentations" / dataset.sample_ids[0]).with_suffix(".png")
    Image.new("L", (5, 4)).save(path)
    with pytest.raises(InputError, match=rf"{path.name}: .* got 5 x 4; unpack segmentations"):
        dataset.annotations(np.array([0]))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=rf"{path.name}: expected a readable image"):
        dataset.annotations(np.array([0]))


def test_an_unknown_split_is_an_error(own):
    with pytest.raises(InputError, match=r"split 'val' of cub200: expected one of train, valid"):
        open_split(own, "val")
