from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from miniatures.voc import write_voc2007, write_voc2012
from PIL import Image
from torchvision import datasets, transforms
from torchvision.transforms import InterpolationMode

from ectool.datasets.base import DataRequest
from ectool.datasets.registry import DATASETS, open_dataset
from ectool.datasets.views import View
from ectool.errors import InputError

SIDE = 96
PARTS = {"train": "train", "val": "validation", "trainval": "train+validation", "test": "test"}
PEER_SETS = [
    *(("2007", part) for part in ("train", "val", "trainval", "test")),
    *(("2012", part) for part in ("train", "val", "trainval")),
]
FEW = np.arange(12)[::-1].copy()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Return a root with both years; not to be changed, see `own`."""
    root = tmp_path_factory.mktemp("voc")
    write_voc2007(root)
    write_voc2012(root)
    return root


@pytest.fixture
def own(tmp_path):
    """Return a root with a small 2012 of one's own."""
    write_voc2012(tmp_path, per_class=1)
    return tmp_path


def open_split(root, name, split, kind="squash", path=""):
    request = DataRequest(path=path, split=split, root=root, view=View(SIDE, kind))
    return DATASETS[name].open(request)


def base_of(root):
    return root / "VOCdevkit" / "VOC2012"


def stems(paths):
    return tuple(Path(path).stem for path in paths)


def peer_view(kind, interpolation):
    if kind == "squash":
        return transforms.Resize((SIDE, SIDE), interpolation)
    shorter = transforms.Resize(round(SIDE * 256 / 224), interpolation)
    return transforms.Compose([shorter, transforms.CenterCrop(SIDE)])


def objects_of(annotation):
    """Return (class, difficult, inclusive box from 1) of each object that torchvision parsed."""
    for thing in annotation["annotation"]["object"]:
        box = [float(thing["bndbox"][side]) for side in ("xmin", "ymin", "xmax", "ymax")]
        yield thing["name"], thing["difficult"] == "1", box


def labels_of(annotation, classes):
    """Return the labels as the challenge defines them."""
    things = list(objects_of(annotation))
    counted = {name for name, difficult, _ in things if not difficult}
    seen = {name for name, _, _ in things}
    return [1 if name in counted else -1 if name in seen else 0 for name in classes]


@pytest.mark.parametrize(("year", "part"), PEER_SETS)
def test_images_and_labels_are_those_that_torchvision_lists(shared, year, part):
    peer = datasets.VOCDetection(str(shared), year=year, image_set=part)
    ours = open_split(shared, f"voc{year}", PARTS[part])
    assert ours.sample_ids == stems(peer.images)
    expected = [labels_of(annotation, ours.classes) for _, annotation in peer]
    np.testing.assert_array_equal(ours.labels, expected)
    assert ours.labels.dtype == np.int8
    assert set(np.unique(ours.labels)) == {-1, 0, 1}
    resize = peer_view("squash", InterpolationMode.BILINEAR)
    shown = [np.asarray(resize(peer[index][0])).transpose(2, 0, 1) for index in FEW]
    np.testing.assert_array_equal(ours.images(FEW), shown)


@pytest.mark.parametrize(("year", "part"), PEER_SETS)
def test_segmentation_images_have_labels_of_the_same_meaning(shared, year, part):
    peer = datasets.VOCSegmentation(str(shared), year=year, image_set=part)
    ours = open_split(shared, f"voc{year}", f"seg_{PARTS[part]}")
    assert ours.sample_ids == stems(peer.images)
    listed = open_split(shared, f"voc{year}", PARTS[part])
    known = dict(zip(listed.sample_ids, listed.labels.tolist(), strict=True))
    both = [row for row, name in enumerate(ours.sample_ids) if name in known]
    assert both
    assert all(ours.labels[row].tolist() == known[ours.sample_ids[row]] for row in both)
    assert all(name.startswith("2007_") for name in set(ours.sample_ids) - set(known))


@pytest.mark.parametrize("kind", ["crop", "squash"])
@pytest.mark.parametrize("split", ["seg_train", "seg_validation", "seg_test"])
def test_masks_are_torchvisions_without_background_and_void(shared, split, kind):
    part = {"train": "train", "validation": "val", "test": "test"}[split.removeprefix("seg_")]
    peer = datasets.VOCSegmentation(str(shared), year="2007", image_set=part)
    ours = open_split(shared, "voc2007", split, kind)
    view = peer_view(kind, InterpolationMode.NEAREST)
    classes = np.stack([np.asarray(view(peer[index][1])) for index in FEW])
    assert 255 in classes
    everything = ours.annotations(FEW).masks
    np.testing.assert_array_equal(everything, (classes > 0) & (classes < 255))
    targets = np.abs(ours.labels[FEW]).argmax(axis=1)
    wanted = ours.annotations(FEW, targets).masks
    np.testing.assert_array_equal(wanted, classes == targets[:, None, None] + 1)
    assert wanted.any()


def painted_box(view, size, box):
    """Return where a box from 1, both ends included, lands when its pixels are painted."""
    left, top, right, bottom = box
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[int(top) - 1 : int(bottom), int(left) - 1 : int(np.ceil(right))] = 1
    y, x = np.nonzero(np.asarray(view(Image.fromarray(pixels))))
    return [x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else None


@pytest.mark.parametrize("kind", ["crop", "squash"])
@pytest.mark.parametrize("year", ["2007", "2012"])
def test_boxes_are_where_the_pixels_of_the_annotation_land(shared, year, kind):
    peer = datasets.VOCDetection(str(shared), year=year, image_set="train")
    ours = open_split(shared, f"voc{year}", "train", kind)
    view = peer_view(kind, InterpolationMode.NEAREST)
    every = np.arange(len(ours.sample_ids))
    landed = ours.annotations(every).boxes
    checked = 0
    for index, found in enumerate(landed):
        image, annotation = peer[index]
        counted = [box for _, difficult, box in objects_of(annotation) if not difficult]
        expected = [painted_box(view, image.size, box) for box in counted]
        expected = [box for box in expected if box is not None]
        assert found.shape == (len(expected), 4)
        assert (np.abs(found - np.array(expected).reshape(-1, 4)) <= 1).all()
        checked += len(expected)
    assert checked > 50


def test_a_target_has_the_boxes_of_its_class_and_no_difficult_ones(shared):
    ours = open_split(shared, "voc2007", "train")
    peer = datasets.VOCDetection(str(shared), year="2007", image_set="train")
    for value in (1, 0, -1):
        rows, targets = np.nonzero(ours.labels == value)
        boxes = ours.annotations(rows[:40], targets[:40]).boxes
        for row, target, found in zip(rows, targets, boxes, strict=False):
            things = objects_of(peer[row][1])
            wanted = [n == ours.classes[target] and not d for n, d, _ in things]
            assert len(found) == sum(wanted)
            assert (len(found) > 0) == (value == 1)


def test_decimal_corners_count(shared):
    ours = open_split(shared, "voc2012", "seg_train")
    old = next(row for row, name in enumerate(ours.sample_ids) if name.startswith("2007_"))
    text = (base_of(shared) / "Annotations" / f"{ours.sample_ids[old]}.xml").read_text()
    assert ".25<" in text
    assert len(ours.annotations(np.array([old])).boxes[0])


@pytest.mark.parametrize("name", ["voc2007", "voc2012"])
def test_splits_share_nothing_and_the_union_is_both(shared, name):
    for prefix in ("", "seg_"):
        ids = {
            split: set(open_split(shared, name, split).sample_ids)
            for split in DATASETS[name].splits
            if split.startswith("seg_") == bool(prefix)
        }
        union = ids.pop(f"{prefix}train+validation")
        assert union == ids[f"{prefix}train"] | ids[f"{prefix}validation"]
        assert sum(map(len, ids.values())) == len(set.union(*ids.values()))


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_the_path_is_the_folder_or_one_above_it(shared, tmp_path, below):
    ours = open_split(tmp_path, "voc2012", "train", path=str(shared / below))
    assert ours.name == "voc2012/train"
    assert ours.sample_ids == open_split(shared, "voc2012", "train").sample_ids


def test_a_renamed_folder_is_the_same_data(own, tmp_path):
    before = open_split(own, "voc2012", "train").fingerprint
    base_of(own).rename(tmp_path / "voc twelve")
    after = open_split(own, "voc2012", "train", path=str(tmp_path / "voc twelve"))
    assert after.fingerprint == before


def test_the_fingerprint_is_of_everything_that_counts(own):
    def fingerprint(split):
        return open_split(own, "voc2012", split).fingerprint

    seen = {split: fingerprint(split) for split in DATASETS["voc2012"].splits}
    assert len(set(seen.values())) == len(seen)
    mask = open_split(own, "voc2012", "seg_train").sample_ids[0]
    Image.new("P", (3, 3), 1).save(base_of(own) / "SegmentationClass" / f"{mask}.png")
    assert fingerprint("train") == seen["train"]
    assert fingerprint("seg_train") != seen["seg_train"]
    name = open_split(own, "voc2012", "train").sample_ids[0]
    annotation = base_of(own) / "Annotations" / f"{name}.xml"
    annotation.write_text(annotation.read_text().replace("Unspecified", "Frontal"))
    assert fingerprint("train") != seen["train"]
    assert fingerprint("validation") == seen["validation"]
    listed = base_of(own) / "ImageSets" / "Main" / "cow_val.txt"
    listed.write_text(listed.read_text().replace(" -1", "  0", 1))
    assert fingerprint("validation") != seen["validation"]


def test_the_error_of_an_empty_root_names_the_archive(tmp_path):
    with pytest.raises(InputError) as caught:
        open_split(tmp_path, "voc2007", "test")
    assert str(caught.value) == (
        f"{tmp_path}/VOCdevkit/VOC2007/ImageSets/Main/test.txt: expected a file of "
        "VOCtest_06-Nov-2007.tar (MD5 b6e924de25625d8de591ea690078ad9f), got no such file; "
        f"get VOCtest_06-Nov-2007.tar and unpack it in {tmp_path}"
    )


@pytest.mark.parametrize(
    ("split", "name"),
    [
        ("train", "ImageSets/Main/sofa_train.txt"),
        ("train", "JPEGImages/{}.jpg"),
        ("train", "Annotations/{}.xml"),
        ("seg_train", "Annotations/{}.xml"),
        ("seg_train", "SegmentationClass/{}.png"),
    ],
)
def test_the_error_of_a_missing_file_names_archive_and_folder(own, split, name):
    path = base_of(own) / name.format(open_split(own, "voc2012", split).sample_ids[3])
    path.unlink()
    with pytest.raises(
        InputError, match=f"{path}: expected a file of VOCtrainval_11-May"
    ) as caught:
        open_split(own, "voc2012", split, path=str(base_of(own)))
    assert "6cd6e144f989b92b3379bac3b3de84fd" in str(caught.value)
    assert str(caught.value).endswith(f"unpack it in {own}")


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><annotation><object>&b;</object></annotation>'


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("</annotation>", "", "no element found"),
        ("<annotation>", f"{BOMB}<annotation>", "got a document type"),
        ("<name>", "<name>bird of ", "got the class 'bird of "),
        ("<xmax>", "<xmax>x", "could not convert string to float: 'x"),
        ("<ymin>", "<ymin>99", "got a box from"),
        ("bndbox>", "box>", "could not convert string to float: ''"),
    ],
)
def test_a_damaged_annotation_is_an_error_that_names_it(own, old, new, match):
    dataset = open_split(own, "voc2012", "train")
    path = base_of(own) / "Annotations" / f"{dataset.sample_ids[0]}.xml"
    head, mark, objects = path.read_text().partition("</segmented>")
    if old == "<annotation>":
        head = head.replace(old, new)
    path.write_text(head + mark + objects.replace(old, new))
    with pytest.raises(InputError, match=rf"{path.name}: expected objects.*{match}"):
        dataset.annotations(np.array([0]))


def test_an_annotation_that_is_no_text_is_an_error(own):
    dataset = open_split(own, "voc2012", "seg_train")
    (base_of(own) / "Annotations" / f"{dataset.sample_ids[0]}.xml").write_bytes(b"\xff\xfe<\x00")
    with pytest.raises(InputError, match=r"expected objects.*can't decode"):
        open_split(own, "voc2012", "seg_train")


@pytest.mark.parametrize(
    ("mode", "size", "match"),
    [
        ("P", (5, 4), "expected .* pixels, as its image has, got 5 x 4"),
        ("RGB", None, "expected a readable image.*mode RGB instead of a palette"),
        ("P", None, "expected class indices to 20 and 255, got 21"),
    ],
)
def test_a_damaged_mask_is_an_error_that_names_it(own, mode, size, match):
    dataset = open_split(own, "voc2012", "seg_train")
    path = base_of(own) / "SegmentationClass" / f"{dataset.sample_ids[0]}.png"
    with Image.open(path) as image:
        mask = Image.new("P", size or image.size, 21)
        mask.putpalette(image.getpalette())
    mask.convert(mode).save(path)
    with pytest.raises(InputError, match=rf"{path.name}: {match}"):
        dataset.annotations(np.array([0]))


def test_a_truncated_mask_is_an_error_that_names_it(own):
    dataset = open_split(own, "voc2012", "seg_train")
    path = base_of(own) / "SegmentationClass" / f"{dataset.sample_ids[0]}.png"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(InputError, match=rf"{path.name}: expected a readable image"):
        dataset.annotations(np.array([0]))


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("train.txt", lambda text: "", "got an empty file"),
        ("train.txt", lambda text: text + text, "expected every image once"),
        ("dog_train.txt", lambda text: text.replace(" -1", "  2", 1), "expected 1, 0 or -1"),
        ("dog_train.txt", lambda text: text.split("\n", 1)[1], "for each image of Main/train"),
    ],
)
def test_a_damaged_list_is_an_error_that_names_it(own, name, change, match):
    path = base_of(own) / "ImageSets" / "Main" / name
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=rf"{name}: .*{match}.*unpack VOCtrainval"):
        open_split(own, "voc2012", "train")


def test_test_labels_of_2012_were_never_published(own):
    for split in ("test", "seg_test"):
        with pytest.raises(InputError, match=f"'{split}' of voc2012: .*never published.*voc2007"):
            open_split(own, "voc2012", split)
    with pytest.raises(InputError, match="'val' of voc2007: expected one of train, validation,"):
        open_split(own, "voc2007", "val")


@pytest.mark.parametrize("split", ["train", "seg_train"])
def test_a_fraction_keeps_a_part_of_the_training_images(own, split):
    request = DataRequest(path="", split=split, root=own)
    whole, half = (open_dataset("voc2012", request, share) for share in (1.0, 0.5))
    assert len(half.sample_ids) == round(len(whole.sample_ids) / 2)
