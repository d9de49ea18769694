"""Data sets that the real package `datasets` writes, against the same images in a CSV file."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Features, List, Value
from miniatures.csv_images import CLASSES, write_csv
from PIL import Image

from ectool.datasets.base import DataRequest
from ectool.datasets.own.csv_images import open_csv
from ectool.datasets.own.hf_dataset import hf_splits, open_hf
from ectool.datasets.registry import open_dataset
from ectool.datasets.splits import drawn_split
from ectool.datasets.views import View
from ectool.errors import AbsentError, InputError

SIDE = 16
KEYS = {"train": "train", "val": "validation", "test": "test"}
PNG = io.BytesIO()
Image.new("RGB", (8, 6), "red").save(PNG, "PNG")
RED = {"bytes": PNG.getvalue(), "path": None}
EDGES = ("x0", "y0", "x1", "y1")
TEXT, PHOTO, X = Value("string"), datasets.Image(), ClassLabel(names=["x"])


@pytest.fixture(scope="module", autouse=True)
def _no_progress_bars():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture(scope="module")
def insects(tmp_path_factory):
    """Return the CSV file of the miniature, and the same rows as a DatasetDict."""
    file = write_csv(tmp_path_factory.mktemp("csv"))
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    features = Features(
        {
            "image": datasets.Image(),
            "label": ClassLabel(names=sorted(CLASSES)),
            "mask": datasets.Image(),
            "group": Value("string"),
            **{edge: Value("float32") for edge in EDGES},
        }
    )
    splits = {}
    for key in KEYS:
        own = [row for row in rows if row["split"] == key]
        cells = {
            "image": [str(file.parent / row["path"]) for row in own],
            "label": [row["Label"] for row in own],
            "mask": [str(file.parent / row["mask"]) for row in own],
            "group": [f"{row['Label']} {row['x0']}" for row in own],
            **{edge: [float(row[edge]) for row in own] for edge in EDGES},
        }
        splits[key] = datasets.Dataset.from_dict(cells, features)
    return file, datasets.DatasetDict(splits)


def ask(folder, split="all", kind="crop", **more):
    root = folder.parent / "root"
    return DataRequest(path=str(folder), split=split, root=root, view=View(SIDE, kind), **more)


def table(columns, features=None, split=None):
    """Return red images with these columns; the features of others than images are inferred."""
    count = len(next(iter(columns.values())))
    cells = {"image": [RED] * count, **columns}
    inferred = datasets.Dataset.from_dict(
        {name: cells[name] for name in columns}, Features(features) if features else None
    ).features
    return datasets.Dataset.from_dict(
        cells, Features({"image": datasets.Image(), **inferred}), split=split
    )


def saved(data, folder, split="all", **more):
    """Open a data set after writing it: as Parquet if cells name files, which are not embedded."""
    if isinstance(data, datasets.Dataset) and names_files(data):
        (folder / "saved").mkdir()
        data.to_parquet(str(folder / "saved/rows.parquet"), batch_size=1)
    else:
        data.save_to_disk(str(folder / "saved"))
    return open_hf(ask(folder / "saved", split, **more))


@pytest.mark.parametrize("form", ["saved", "parquet"])
def test_images_labels_masks_and_boxes_are_those_of_the_same_files(insects, tmp_path, form):
    file, data = insects
    if form == "saved":
        data.save_to_disk(str(tmp_path / "data"))
    else:
        (tmp_path / "data/data").mkdir(parents=True)
        for key, rows in data.items():
            embedded = rows.map(embed, batched=True, features=rows.features)
            embedded.to_parquet(str(tmp_path / f"data/data/{key}-00000-of-00001.parquet"))
    for split in KEYS.values():
        for kind in ("crop", "squash"):
            ours = open_hf(ask(tmp_path / "data", split, kind))
            theirs = open_csv(ask(file, split, kind))
            every = np.arange(len(theirs.sample_ids))
            assert ours.classes == theirs.classes
            np.testing.assert_array_equal(ours.labels, theirs.labels)
            np.testing.assert_array_equal(ours.images(every[::-1]), theirs.images(every[::-1]))
            ours, theirs = ours.annotations(every), theirs.annotations(every)
            np.testing.assert_array_equal(ours.masks, theirs.masks)
            np.testing.assert_array_equal(ours.boxes, theirs.boxes)


def embed(batch):
    """Replace paths by the bytes of the files, as push_to_hub does."""
    for name in ("image", "mask"):
        batch[name] = [{"bytes": encoded(one), "path": None} for one in batch[name]]
    return batch


def encoded(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_ids_are_split_and_row_and_make_up_the_whole(insects, tmp_path):
    _, data = insects
    data.save_to_disk(str(tmp_path / "data"))
    found = {split: open_hf(ask(tmp_path / "data", split)) for split in (*KEYS.values(), "all")}
    assert found["validation"].sample_ids[:2] == ["val/0", "val/1"]
    parts = [name for split in KEYS.values() for name in found[split].sample_ids]
    assert parts == found["all"].sample_ids
    assert len(set(parts)) == len(parts)
    assert hf_splits(str(tmp_path / "data")) == ("train", "validation", "test", "all")
    names = [found["test"].groups.names[n] for n in found["test"].groups.of_samples]
    assert names == data["test"]["group"]


def test_a_column_names_the_rows_and_the_hash_of_names_draws_splits(tmp_path):
    data = table({"label": ["x", "y"] * 40, "id": list(range(80))})
    data = data.shuffle(seed=0).flatten_indices()
    dataset = saved(data, tmp_path)
    assert dataset.sample_ids == [str(name) for name in data["id"]]
    for split in KEYS.values():
        own = open_hf(ask(tmp_path / "saved", split)).sample_ids
        assert own == [name for name in dataset.sample_ids if drawn_split(name) == split]


def test_a_recorded_split_is_the_split_of_all_rows(tmp_path):
    data = table({"label": ["x", "y"]}, split="test")
    assert saved(data, tmp_path, "test").sample_ids == ["test/0", "test/1"]
    with pytest.raises(
        AbsentError, match=r"split 'train' of hf:.*: expected one of test, all, got"
    ):
        open_hf(ask(tmp_path / "saved", "train"))


def test_a_key_that_is_no_usual_split_keeps_its_name(tmp_path):
    data = datasets.DatasetDict(
        {"unlabeled": table({"label": [None, -1, 1]}, {"label": ClassLabel(names=["x", "y"])})}
    )
    dataset = saved(data, tmp_path, "unlabeled")
    assert dataset.labels.tolist() == [-1, -1, 1]
    assert hf_splits(str(tmp_path / "saved")) == ("unlabeled", "all")


@pytest.mark.parametrize(
    ("values", "feature", "classes", "labels"),
    [
        ([1, 0], ClassLabel(names=["wet", "dry"]), ("wet", "dry"), [1, 0]),
        ([10, 9], Value("int32"), ("9", "10"), [1, 0]),
        (["b", "a"], Value("string"), ("a", "b"), [1, 0]),
        ([[1], []], List(ClassLabel(names=["y", "x"])), ("y", "x"), [[0, 1], [0, 0]]),
        ([["b", "a"], ["c"]], List(Value("string")), ("a", "b", "c"), [[1, 1, 0], [0, 0, 1]]),
    ],
)
def test_labels_of_every_kind(tmp_path, values, feature, classes, labels):
    dataset = saved(table({"label": values}, {"label": feature}), tmp_path)
    assert dataset.classes == classes
    assert dataset.labels.tolist() == labels


def test_the_only_columns_of_images_and_classes_need_no_usual_name(tmp_path):
    data = table({"species": [0, 1]}, {"species": ClassLabel(names=["x", "y"])})
    dataset = saved(data.rename_column("image", "photo"), tmp_path)
    assert dataset.labels.tolist() == [0, 1]
    assert dataset.images(np.array([1]))[0, :, 8, 8].tolist() == [255, 0, 0]


def test_parquet_rows_may_name_files_below_the_folder(tmp_path):
    (tmp_path / "photos/in").mkdir(parents=True)
    Image.new("RGB", (6, 6), "blue").save(tmp_path / "photos/in/a.png")
    data = with_image({"bytes": None, "path": "in/a.png"})
    data.to_parquet(str(tmp_path / "photos/metadata.parquet"), batch_size=1)
    dataset = open_hf(ask(tmp_path / "photos"))
    assert dataset.images(np.array([0]))[0, :, 8, 8].tolist() == [0, 0, 255]
    before = dataset.fingerprint
    Image.new("RGB", (6, 6), "red").save(tmp_path / "photos/in/a.png")
    assert open_hf(ask(tmp_path / "photos")).fingerprint != before


def test_the_fingerprint_is_of_the_contents_and_not_of_the_place(tmp_path):
    table({"label": ["x", "y"]}).save_to_disk(str(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    prints = {name: open_hf(ask(tmp_path / name)).fingerprint for name in "ab"}
    assert prints["a"] == prints["b"]
    table({"label": ["y", "x"]}).save_to_disk(str(tmp_path / "c"))
    assert open_hf(ask(tmp_path / "c")).fingerprint != prints["a"]


def test_changed_parquet_files_are_read_again(tmp_path):
    (tmp_path / "data").mkdir()
    for labels in (["x", "y"], ["z", "y"]):
        table({"label": labels}).to_parquet(str(tmp_path / "data/train.parquet"))
        assert set(open_hf(ask(tmp_path / "data", "train")).classes) == set(labels)


def names_files(data):
    column = data.data.column("image") if "image" in data.column_names else []
    return any(cell.as_py() and cell.as_py()["path"] for cell in column)


def with_image(value):
    return datasets.Dataset.from_dict(
        {"image": [value], "label": ["x"]}, Features({"image": datasets.Image(), "label": TEXT})
    )


def without_images():
    return datasets.Dataset.from_dict({"label": [0], "pixels": [[1]]})


BOX = dict(zip(EDGES, ([0.0], [0.0], [4.0], [4.0]), strict=True))
ONE = {"label": ["x"]}
MALFORMED = {
    "no images": (without_images, r"expected one column of images .*got the columns label, pixels"),
    "two images": (
        lambda: table(
            {**ONE, "a": [RED], "b": [RED]}, {"label": TEXT, "a": PHOTO, "b": PHOTO}
        ).remove_columns("image"),
        "expected one column of images .*got the columns a, b",
    ),
    "no labels": (lambda: table({"name": ["x"]}), r"expected one column of labels .*got the colu"),
    "two labels": (
        lambda: table({"fine": [0], "coarse": [0]}, {"fine": X, "coarse": X}),
        "expected one column of labels .*got the columns fine, coarse",
    ),
    "labels of floats": (
        lambda: table({"label": [0.5]}),
        "column label: expected ClassLabel, text",
    ),
    "only unknown": (lambda: table({"label": [None]}, {"label": TEXT}), "expected a cl"),
    "empty image": (lambda: with_image(None), "row 0: expected an encoded image.*an empty cell"),
    "image elsewhere": (
        lambda: with_image({"bytes": None, "path": "../a.png"}),
        r"row 0: expected an encoded image, or a path of a file in .*got the path '\.\./a\.png'",
    ),
    "image on a hub": (
        lambda: with_image({"bytes": None, "path": "https://host/a.png"}),
        "row 0: expected an encoded image, or a path of a file in .*got the path 'https",
    ),
    "empty mask": (
        lambda: table({**ONE, "mask": [None]}, {"label": TEXT, "mask": PHOTO}),
        "row 0: expected an encoded image.*an empty cell",
    ),
    "mask of text": (
        lambda: table({**ONE, "mask": ["a.png"]}),
        r"column mask: expected images \(datasets\.Image\), got Value\('string'\)",
    ),
    "masks and several labels": (
        lambda: table({"label": [["x"]], "mask": [RED]}, {"label": List(TEXT), "mask": PHOTO}),
        "expected neither masks nor boxes in a multi-label data set, got mask",
    ),
    "a list of nothing": (
        lambda: table({"label": [["x"], None]}, {"label": List(TEXT)}),
        "row 1: expected a list of classes in label, got an empty cell",
    ),
    "half a box": (
        lambda: table({**ONE, "x0": [0.0], "y0": [0.0]}),
        "expected all columns x0, y0,",
    ),
    "box of text": (lambda: table({**ONE, **BOX, "x0": ["a"]}), "got x0 of another type"),
    "small box": (
        lambda: table({**ONE, **BOX, "x1": [0.5]}),
        "row 0: expected a box x0.*got 0, 0, 0.5",
    ),
    "open box": (
        lambda: table(
            {**ONE, **BOX, "x1": [None]}, {"label": TEXT, **{e: Value("float64") for e in EDGES}}
        ),
        "row 0: expected a box .*got 0, 0, an empty cell, 4",
    ),
    "no group": (
        lambda: table({"label": ["x", "y"], "group": ["a", None]}),
        "row 1: expected a group",
    ),
    "no id": (
        lambda: table({"label": ["x", "y"], "id": ["a", None]}),
        "row 1: expected a value in id",
    ),
    "no rows": (lambda: table({"label": []}, {"label": X}), "saved: expected rows, got none"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_tables_are_one_line(tmp_path, case):
    make, match = MALFORMED[case]
    with pytest.raises(InputError, match=match) as error:
        saved(make(), tmp_path)
    assert "\n" not in str(error.value)


def test_ids_that_occur_twice_are_one_line(tmp_path):
    table({"label": ["x", "y"], "id": [7, 7]}).save_to_disk(str(tmp_path / "data"))
    with pytest.raises(InputError, match=r"data 7: expected a sample id .*got it 2 times"):
        open_dataset(f"hf:{tmp_path / 'data'}", ask(tmp_path, "all"))


def test_an_image_that_is_none_names_its_row(tmp_path):
    dataset = saved(with_image({"bytes": b"GIF8 no", "path": None}), tmp_path)
    with pytest.raises(InputError, match=r"saved, row 0, column image: expected a readable image"):
        dataset.images(np.array([0]))


def test_a_mask_of_another_size_names_its_row(tmp_path):
    file = io.BytesIO()
    Image.new("L", (3, 3), 255).save(file, "PNG")
    mask = {"bytes": file.getvalue(), "path": None}
    data = table({**ONE, "mask": [mask]}, {"label": TEXT, "mask": PHOTO})
    dataset = saved(data, tmp_path)
    with pytest.raises(InputError, match=r"row 0, column mask: expected 8 x 6 pixels.*got 3 x 3"):
        dataset.annotations(np.array([0]))


def test_splits_of_other_classes_are_one_line(tmp_path):
    data = datasets.DatasetDict(
        {
            key: table({"label": [0]}, {"label": ClassLabel(names=[key])})
            for key in ("train", "test")
        }
    )
    with pytest.raises(
        InputError, match=r"test: expected the classes and masks of .*train, got la"
    ):
        saved(data, tmp_path)


def test_every_row_is_checked_when_faults_are_collected(tmp_path):
    faults = []
    data = table({"label": ["x", "y", "z"], "group": ["a", None, None]})
    dataset = saved(data, tmp_path, report=faults.append)
    assert len(faults) == 2
    assert dataset.sample_ids == ["0"]


@pytest.mark.parametrize("path", ["", "/nowhere", "beans"])
def test_a_missing_folder_is_not_downloaded(tmp_path, path):
    with pytest.raises(
        AbsentError, match=rf"hf:{path}: expected an existing folder.*no.*downloaded"
    ):
        open_hf(DataRequest(path=path, split="train", root=tmp_path))


def damage(folder, name, text):
    file = folder / name
    file.write_text(text)


DAMAGED = {
    "no state": (
        lambda f: (f / "train/state.json").unlink(),
        r"state\.json: expected .*no such fi",
    ),
    "no json": (
        lambda f: damage(f, "train/state.json", "{"),
        r"state\.json: expected valid JSON",
    ),
    "no object": (lambda f: damage(f, "train/state.json", "[]"), "expected a JSON object"),
    "no files": (lambda f: damage(f, "train/state.json", "{}"), "_data_files None"),
    "no keys": (lambda f: damage(f, "dataset_dict.json", "{}"), "got splits None"),
    "no rows": (
        lambda f: next(f.glob("train/*.arrow")).unlink(),
        r"data-00000-of-00001\.arrow: expected a file of rows, which .*state\.json lists",
    ),
    "damaged rows": (
        lambda f: damage(f, "train/data-00000-of-00001.arrow", "nothing"),
        "train: expected rows that the package datasets can read, got OSError",
    ),
    "split twice": (
        lambda f: (
            shutil.copytree(f / "train", f / "training"),
            damage(f, "dataset_dict.json", json.dumps({"splits": ["train", "training"]})),
        ),
        "expected each split once, got train, training",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_folders_are_one_line(tmp_path, case):
    break_it, match = DAMAGED[case]
    datasets.DatasetDict({"train": table(ONE)}).save_to_disk(str(tmp_path / "data"))
    break_it(tmp_path / "data")
    with pytest.raises(InputError, match=match) as error:
        open_hf(ask(tmp_path / "data"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("names", "match"),
    [
        ([], r"expected dataset_dict\.json or state\.json of save_to_disk, or Parquet files"),
        (["a.parquet", "train.parquet"], r"a\.parquet: expected the name of a split"),
        (["train-test.parquet"], "expected the name of one split in its name, got test, train"),
        (["train.parquet"], "train: expected rows that the package datasets can read, got OSError"),
    ],
)
def test_folders_of_wrong_files_are_one_line(tmp_path, names, match):
    (tmp_path / "data").mkdir()
    for name in names:
        (tmp_path / "data" / name).write_text("nothing")
    with pytest.raises(InputError, match=match) as error:
        open_hf(ask(tmp_path / "data"))
    assert "\n" not in str(error.value)


def test_the_path_may_be_one_parquet_file(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("train", "others"):
        table({"label": [name]}).to_parquet(str(tmp_path / f"data/{name}.parquet"))
    path = tmp_path / "data/train.parquet"
    assert open_hf(ask(path, "train")).classes == ("train",)
    assert hf_splits(str(path)) == ("train", "all")
    (tmp_path / "data/rows.csv").write_text("label")
    with pytest.raises(AbsentError, match=r"rows\.csv: expected an existing folder.*got a file"):
        open_hf(ask(tmp_path / "data/rows.csv"))


def test_numbers_beyond_the_classes_name_their_row(tmp_path):
    data = table({"label": [0, 5]}, {"label": Value("int64")})
    features = Features({**data.features, "label": X})
    data = datasets.Dataset(data.data, info=datasets.DatasetInfo(features=features))
    (tmp_path / "data").mkdir()
    data.to_parquet(str(tmp_path / "data/rows.parquet"))
    with pytest.raises(InputError, match="row 1: expected a class from 0 to 0 in label, got 5"):
        open_hf(ask(tmp_path / "data"))


def test_folders_name_the_split_of_parquet_files(tmp_path):
    for key in KEYS:
        (tmp_path / f"data/{key}").mkdir(parents=True)
        table({"label": [key]}).to_parquet(str(tmp_path / f"data/{key}/0.parquet"))
    dataset = open_hf(ask(tmp_path / "data", "validation"))
    assert [dataset.classes[label] for label in dataset.labels] == ["val"]


def test_without_the_package_one_line_says_how_to_install_it(tmp_path):
    table(ONE).save_to_disk(str(tmp_path / "data"))
    program = f"""
import sys
sys.modules["datasets"] = None
from pathlib import Path
from ectool.datasets.base import DataRequest
from ectool.datasets.own.hf_dataset import open_hf
open_hf(DataRequest(path={str(tmp_path / "data")!r}, split="train", root=Path({str(tmp_path)!r})))
"""
    found = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert "got no such package; pip install 'ectool[huggingface]'" in found.stderr
