from __future__ import annotations

import csv

import numpy as np
import pytest
from miniatures.csv_images import CLASSES, SPLITS, write_csv, write_multilabel_csv, write_rows
from PIL import Image

from ectool.datasets.base import DataRequest
from ectool.datasets.images import read_image
from ectool.datasets.own.csv_images import open_csv
from ectool.datasets.own.csv_samples import read_samples
from ectool.datasets.own.table_rows import MAX_ROW
from ectool.datasets.splits import drawn_split
from ectool.datasets.views import View
from ectool.errors import InputError
from tests.bounded import measured

SIDE = 16


@pytest.fixture(scope="module")
def insects(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("single"))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return write_multilabel_csv(tmp_path_factory.mktemp("several"))


@pytest.fixture
def images(tmp_path):
    """Return a folder of images a.png to d.png, for CSV files that a test writes into it."""
    for name in "abcd":
        Image.new("RGB", (8, 6), "red").save(tmp_path / f"{name}.png")
    return tmp_path


def open_split(file, split="all", kind="crop"):
    root = file.parent / "root"
    return open_csv(DataRequest(path=str(file), split=split, root=root, view=View(SIDE, kind)))


def open_text(folder, text, split="all", encoding="utf-8"):
    (folder / "list.csv").write_text(text, encoding, newline="")
    return open_split(folder / "list.csv", split)


def table(file):
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def every(dataset):
    return np.arange(len(dataset.sample_ids))


@pytest.mark.parametrize("written", SPLITS)
@pytest.mark.parametrize("kind", ["crop", "squash"])
def test_every_row_of_a_split_is_a_sample(insects, written, kind):
    rows = [row for row in table(insects) if row["split"] == written]
    dataset = open_split(insects, SPLITS[written], kind)
    found, view = dataset.annotations(every(dataset)), View(SIDE, kind)
    assert dataset.classes == tuple(sorted(CLASSES))
    assert list(dataset.sample_ids) == [row["path"] for row in rows]
    assert [dataset.classes[label] for label in dataset.labels] == [row["Label"] for row in rows]
    for number, row in enumerate(rows):
        image = read_image(insects.parent / row["path"])
        placement = view.place(*image.size)
        shown = dataset.images(np.array([number]))[0]
        np.testing.assert_array_equal(shown, placement.image(image).transpose(2, 0, 1))
        with Image.open(insects.parent / row["mask"]) as mask:
            seen = placement.image(mask, Image.Resampling.NEAREST) > 0
        np.testing.assert_array_equal(found.masks[number], seen)
        box = np.array([[float(row[edge]) for edge in ("x0", "y0", "x1", "y1")]])
        np.testing.assert_array_equal(found.boxes[number], placement.boxes(box))


def test_splits_share_nothing_and_make_up_the_whole(insects, shapes):
    for file in (insects, shapes):
        parts = [name for split in SPLITS.values() for name in open_split(file, split).sample_ids]
        assert len(parts) == len(set(parts))
        assert set(parts) == set(open_split(file).sample_ids)


def test_without_a_column_the_hash_of_the_path_draws_the_split(shapes):
    for split in SPLITS.values():
        assert {drawn_split(name) for name in open_split(shapes, split).sample_ids} == {split}


def test_multilabel_rows_are_ones_and_none_is_a_row_of_zeros(shapes):
    dataset = open_split(shapes)
    assert dataset.labels.dtype == np.int8
    for row, present in zip(table(shapes), dataset.labels, strict=True):
        names = {name for name, there in zip(dataset.classes, present, strict=True) if there}
        assert names == set(filter(None, row["labels"].split(";")))
    assert dataset.labels[9].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("header", "cells", "labels"),
    [
        ("label", ["x", "y", "x", "y"], [0, 1, 0, 1]),
        ("label", ["x", "y", "x; y", "y"], [[1, 0], [0, 1], [1, 1], [0, 1]]),
        ("labels", ["x", "y", "x", "y"], [[1, 0], [0, 1], [1, 0], [0, 1]]),
    ],
)
def test_a_row_or_the_header_makes_a_data_set_multi_label(images, header, cells, labels):
    rows = [[f"{name}.png", cell] for name, cell in zip("abcd", cells, strict=True)]
    dataset = open_split(write_rows(images / "list.csv", ["path", header], rows))
    assert dataset.labels.tolist() == labels
    assert dataset.classes == ("x", "y")


def test_one_row_makes_every_split_multi_label(images):
    text = "path,label,split\na.png,x,train\nb.png,y,train\nc.png,x;y,test\n"
    assert open_text(images, text, "train").labels.tolist() == [[1, 0], [0, 1]]


def test_classes_that_are_numbers_are_in_their_order(images):
    dataset = open_text(images, "path,label\na.png,10\nb.png,9\nc.png,2\n")
    assert dataset.classes == ("2", "9", "10")
    assert dataset.labels.tolist() == [2, 1, 0]
    assert open_text(images, "path,label\na.png,10\nb.png,9\nc.png,x\n").classes == (
        "10",
        "9",
        "x",
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_white_space_empty_rows_and_line_ends_do_not_matter(images, end):
    lines = ["", " Path , LABEL ,note", '"./a.png", x ,"one, two"', "", ",,", 'b.png,"y ",', ""]
    dataset = open_text(images, end.join(lines[1:]))
    assert list(dataset.sample_ids) == ["a.png", "b.png"]
    assert dataset.classes == ("x", "y")


def test_images_without_a_box_have_none(images):
    dataset = open_text(images, "path,label,x0,y0,x1,y1\na.png,x,,,,\nb.png,y,0,0,4,4\n")
    found = dataset.annotations(every(dataset))
    assert found.masks is None
    assert [len(boxes) for boxes in found.boxes] == [0, 1]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"line 1: expected columns with one path and one label\|labels, got nothing;"),
        ("path,class\na.png,x\n", r"line 1: expected .* one label\|labels, got path, class;"),
        ("path;label\na.png;x\n", r"line 1: expected .*got path;label;"),
        ("path,label,labels\na.png,x,\n", r"line 1: expected .* one label\|labels"),
        ("path,label,path\na.png,x,\n", "line 1: expected .*got path, label, path;"),
        ("path,label,x0,x1\na.png,x,1,2\n", "line 1: expected .*one x0, y0, x1, y1, got"),
        ("path,label\n", "list.csv: expected rows with a label, got none;"),
        ("path,labels\na.png,\n", "list.csv: expected rows with a label, got none;"),
        ("path,label\na.png,x\n,y\n", "line 3: expected a path, got an empty cell;"),
        ("path,label\na.png,x\nb.png,\n", "line 3: expected a label, got an empty cell;"),
        ("path,label\na.png,x;\n", "line 2: expected a label, got an empty one in 'x;';"),
        ("path,labels\na.png,;x\n", "line 2: expected a label, got an empty one in ';x';"),
        ("path,label\na.png,x,y\n", "line 2: expected 2 cells, as in the header, got 3;"),
        ("path,label\n\na.png\n", "line 3: expected 2 cells, as in the header, got 1;"),
        ("path,label\na.png,x\n./a.png,y\n", r"line 3: expected every path once, got a\.png of l"),
        ("path,label\na.png,x\ngone.png,y\n", r"line 3: expected a file .*gone\.png, got no such"),
        ("path,label\n/a.png,x\n", "line 2: expected a path relative to .*got '/a.png';"),
        (
            "path,label,split\na.png,x,dump\n",
            "line 2: expected a split, one of train, .*got 'dump';",
        ),
        ("path,label,split\na.png,x,\n", "line 2: expected a split, one of train, .*got '';"),
        ("path,label,mask\na.png,x,b.png\nb.png,x,\n", "line 3: expected a mask, as other"),
        ("path,label,mask\na.png,x,m.png\n", r"line 2: expected a file .*m\.png, got no such file"),
        ("path,label,x0,y0,x1,y1\na.png,x,1,2,3,o\n", "line 2: expected a box .*got 1, 2, 3, o;"),
        ("path,label,x0,y0,x1,y1\na.png,x,1,,3,4\n", "line 2: expected a box .*got 1, , 3, 4;"),
        ("path,label,mask\na.png,x,b.png\nb.png,x;y,\n", "line 2: expected neither mask nor box"),
        ('path,label\n"a.png,x\n', "expected a readable CSV file in UTF-8, got Error"),
    ],
)
def test_a_bad_row_is_an_error_that_names_its_line(images, text, match):
    with pytest.raises(InputError, match=match):
        open_text(images, text)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_text_in_another_encoding_is_an_error(images, encoding):
    with pytest.raises(InputError, match=r"list\.csv: expected a readable CSV file in UTF-8"):
        open_text(images, "path,label\na.png,Käfer\n", encoding=encoding)


def test_only_the_files_of_the_split_have_to_be_there(images):
    text = "path,label,split\na.png,x,train\ngone.png,x,test\n"
    assert list(open_text(images, text, "train").sample_ids) == ["a.png"]
    with pytest.raises(InputError, match="line 3: expected a file"):
        open_text(images, text, "test")


def test_a_split_without_rows_is_an_error(images):
    with pytest.raises(InputError, match=r"'test' of .*list\.csv: expected one of train, all"):
        open_text(images, "path,label,split\na.png,x,train\n", "test")


@pytest.mark.parametrize("path", ["", "/nowhere at all.csv", "."])
def test_a_missing_file_is_an_error(tmp_path, path):
    with pytest.raises(InputError, match=rf"csv:{path}: expected an existing CSV file"):
        open_csv(DataRequest(path=path, split="train", root=tmp_path))


def test_the_fingerprint_is_of_the_rows_of_the_split_and_their_files(images):
    def fingerprint(split, *rows):
        header = ["path", "label", "split", "mask", "x0", "y0", "x1", "y1"]
        file = write_rows(images / "list.csv", header, [row.split() for row in rows])
        return open_split(file, split).fingerprint

    rows = [
        "a.png x train c.png 1 1 4 4",
        "b.png y train c.png 1 1 4 4",
        "d.png x test d.png 0 0 3 3",
    ]
    seen = [fingerprint("train", *rows), fingerprint("test", *rows)]
    assert fingerprint("train", *rows[:2]) == seen[0]
    for old, new in (("x train", "z train"), ("c.png", "d.png"), ("1 1 4 4", "1 1 4 5")):
        seen.append(fingerprint("train", rows[0].replace(old, new), *rows[1:]))
    Image.new("RGB", (8, 6), "blue").save(images / "c.png")
    seen.append(fingerprint("train", *rows))
    assert len(set(seen)) == len(seen)


def test_a_small_network_can_tell_the_miniatures_classes_apart(insects):
    """The mean colour around the centre, nearest to that of a class in the training images."""

    def colours(split):
        dataset = open_split(insects, split)
        return dataset.images(every(dataset))[:, :, 6:10, 6:10].mean((2, 3)), dataset.labels

    (known, labels), (queries, expected) = colours("train"), colours("test")
    means = np.stack([known[labels == label].mean(0) for label in range(3)])
    nearest = ((queries[:, None] - means) ** 2).sum(2).argmin(1)
    assert np.mean(nearest == expected) > 0.8


def test_groups_are_those_of_the_column(images):
    rows = "path,label,group\na.png,x,wet\nb.png,x,dry\nc.png,y,wet\n"
    data = open_text(images, rows)
    assert data.groups.names == ("dry", "wet")
    assert data.groups.of_samples.tolist() == [1, 0, 1]
    other = open_text(images, rows.replace("b.png,x,dry", "b.png,x,wet"))
    assert other.fingerprint != data.fingerprint
    assert open_text(images, "path,label\na.png,x\n").groups is None


def test_an_image_without_a_group_is_an_error(images):
    with pytest.raises(InputError, match="line 3: expected a group, as other images of the split"):
        open_text(images, "path,label,group\na.png,x,wet\nb.png,x,\n")


def test_repeated_labels_take_no_more_memory_than_their_file_explains(tmp_path):
    row = ";".join(f"{n % 90 + 10}" for n in range(MAX_ROW // 3 - 10))
    text = "\n".join(["path,labels", *(f"{n}.png,{row}" for n in range(64))])
    (tmp_path / "a.csv").write_text(text)
    found = measured(lambda: read_samples(tmp_path / "a.csv"))
    assert found.error == ""
    assert found.peak < 8 * len(text)  # 20 times, if each label were a text of its own
