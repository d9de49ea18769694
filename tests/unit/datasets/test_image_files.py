from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from ectool.datasets.image_files import ImageAnnotations, ImageFiles
from ectool.datasets.views import View
from ectool.errors import InputError

SIDE = 14
SIZES = [(30, 20), (20, 30), (25, 25), (60, 16)]
EVERY = np.arange(len(SIZES))


@dataclass(frozen=True)
class Quarter:
    """Two objects in every image: class 0 fills the upper left quarter, class 1 the lower right.

    Attributes:
        kinds: What is known of them: any of masks, boxes, parts.
    """

    kinds: tuple[str, ...]
    files: tuple[str, ...] = ()

    def read(self, index, target, max_pixels=0):
        width, height = SIZES[index]
        corners = [(0, 0, width // 2, height // 2), (width // 2, height // 2, width, height)]
        chosen = corners if target is None else [corners[target]]
        mask = np.zeros((height, width), np.uint8)
        for x0, y0, x1, y1 in chosen:
            mask[y0:y1, x0:x1] = 9
        centres = [((x0 + x1) / 2, (y0 + y1) / 2, index % 2) for x0, y0, x1, y1 in corners]
        return ImageAnnotations(
            size=(width, height),
            mask=Image.fromarray(mask) if "masks" in self.kinds else None,
            boxes=np.array(chosen, np.float64) if "boxes" in self.kinds else None,
            parts=np.array(centres) if "parts" in self.kinds else None,
        )


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number, (width, height) in enumerate(SIZES):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    names = tuple(f"{number}.png" for number in range(len(SIZES)))
    return ImageFiles(
        name="quarters/test",
        folder=folder,
        paths=names,
        sample_ids=names,
        labels=np.array([0, 1, 0, 1]),
        classes=("a", "b"),
        view=View(SIDE),
        root=tmp_path,
        facts={"data": "quarters"},
    )


@pytest.mark.parametrize("kind", ["crop", "squash"])
def test_images_are_seen_through_the_view_in_any_order(files, kind):
    dataset = replace(files, view=View(SIDE, kind))
    for index, shown in zip(EVERY[::-1], dataset.images(EVERY[::-1]), strict=True):
        with Image.open(files.folder / f"{index}.png") as image:
            expected = View(SIDE, kind).place(*image.size).image(image)
        np.testing.assert_array_equal(shown, expected.transpose(2, 0, 1))
        np.testing.assert_array_equal(dataset.images(np.array([index]))[0], shown)
    assert dataset.images(EVERY[:0]).shape == (0, 3, SIDE, SIDE)
    assert dataset.size == (SIDE, SIDE)


def test_a_framing_shows_a_part_and_is_called_once_per_image(files):
    asked = []

    def framing(index, width, height):
        asked.append((index, width, height))
        return (1, 2, width - 3, height - 4)

    shown = files.images(EVERY, framing)
    assert sorted(asked) == [(index, *size) for index, size in enumerate(SIZES)]
    for index, (width, height) in enumerate(SIZES):
        with Image.open(files.folder / f"{index}.png") as image:
            part = Image.fromarray(np.asarray(image)[2 : height - 4, 1 : width - 3])
        expected = np.asarray(part.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(shown[index], expected.transpose(2, 0, 1))


def test_without_a_reader_there_are_no_annotations(files):
    found = files.annotations(EVERY)
    assert found.masks is None
    assert found.boxes is None
    assert found.parts is None


@pytest.mark.parametrize("kind", ["crop", "squash"])
def test_annotations_are_brought_to_the_pixels_of_the_view(files, kind):
    view, annotations = View(SIDE, kind), Quarter(("masks", "boxes", "parts"))
    found = replace(files, view=view, annotation_reader=annotations).annotations(EVERY[::-1])
    for row, index in enumerate(EVERY[::-1]):
        known, placement = annotations.read(index, None), view.place(*SIZES[index])
        seen = placement.image(known.mask, Image.Resampling.NEAREST) > 0
        np.testing.assert_array_equal(found.masks[row], seen)
        np.testing.assert_array_equal(found.boxes[row], placement.boxes(known.boxes))
        np.testing.assert_array_equal(found.parts[row, :, :2], placement.points(known.parts[:, :2]))
        np.testing.assert_array_equal(found.parts[row, :, 2], known.parts[:, 2])


def test_a_target_has_the_annotations_of_one_class(files):
    dataset = replace(files, annotation_reader=Quarter(("masks", "boxes")))
    both = dataset.annotations(EVERY)
    apart = [dataset.annotations(EVERY, np.full(len(EVERY), target)) for target in (0, 1)]
    np.testing.assert_array_equal(apart[0].masks | apart[1].masks, both.masks)
    assert not (apart[0].masks & apart[1].masks).any()
    for row in EVERY:
        joined = np.concatenate([apart[0].boxes[row], apart[1].boxes[row]])
        np.testing.assert_array_equal(joined, both.boxes[row])


def test_masks_alone_give_the_tight_boxes_of_what_is_seen(files):
    found = replace(files, annotation_reader=Quarter(("masks",))).annotations(
        EVERY, np.zeros(4, np.int64)
    )
    for mask, boxes in zip(found.masks, found.boxes, strict=True):
        y, x = np.nonzero(mask)
        assert boxes.tolist() == [[x.min(), y.min(), x.max() + 1, y.max() + 1]]


def test_an_object_outside_the_view_has_no_box_and_an_empty_mask(files):
    wide = np.array([3])  # 60 x 16: the crop shows columns 23 to 37

    class Edge(Quarter):
        def read(self, index, target, max_pixels=0):
            mask = np.zeros((16, 60), np.uint8)
            mask[:, :9] = 1
            boxes = np.array([[0, 0, 9, 16]], np.float64) if "boxes" in self.kinds else None
            return ImageAnnotations((60, 16), Image.fromarray(mask), boxes)

    drawn = replace(files, annotation_reader=Edge(("boxes",))).annotations(wide)
    derived = replace(files, annotation_reader=Edge(())).annotations(wide)
    assert not drawn.masks.any()
    assert drawn.boxes[0].shape == (0, 4)
    assert derived.boxes[0].tolist() == [[0, 0, 0, 0]]


def test_a_damaged_image_stops_its_batch_and_no_other(files):
    (files.folder / "2.png").write_bytes(b"")
    assert files.images(np.array([0, 1, 3])).any()
    with pytest.raises(InputError, match=r"2\.png: expected a readable image"):
        files.images(EVERY)


def test_the_fingerprint_is_of_everything_that_counts(files):
    annotations = Quarter(("masks",), ("annotations.bin",))
    (files.folder / "annotations.bin").write_bytes(b"1")
    others = [
        files,
        replace(files, view=View(SIDE + 1)),
        replace(files, view=View(SIDE, "squash")),
        replace(files, classes=("a", "c")),
        replace(files, sample_ids=("0", "1", "2", "3")),
        replace(files, labels=np.array([0, 1, 1, 1])),
        replace(files, labels=np.array([[0], [1], [0], [1]], np.int8)),
        replace(files, facts={"data": "halves"}),
        replace(files, annotation_reader=annotations),
    ]
    prints = [dataset.fingerprint for dataset in others]
    (files.folder / "annotations.bin").write_bytes(b"other")
    prints.append(replace(files, annotation_reader=annotations).fingerprint)
    (files.folder / "1.png").write_bytes((files.folder / "0.png").read_bytes())
    prints.append(replace(files).fingerprint)
    assert len(set(prints)) == len(prints)
    assert replace(files, name="another", annotation_reader=None).fingerprint == prints[-1]
