"""`data list`, `info`, `check` and `materialize`, and materialized data as a data set."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from miniatures.cub200 import write_cub200
from miniatures.voc import write_voc2007
from PIL import Image

from ectool.artifacts.artifact import Artifact
from ectool.config import (
    DataCheckConfig,
    DataInfoConfig,
    DataListConfig,
    DataOptions,
    MaterializeConfig,
)
from ectool.datasets.base import DataRequest
from ectool.datasets.own.stored import open_stored
from ectool.datasets.registry import DATASETS
from ectool.errors import InputError, IntegrityError
from ectool.stages.common.inputs import open_data
from ectool.stages.data import check as data_check
from ectool.stages.data import info as data_info
from ectool.stages.data import list as data_list
from ectool.stages.data import materialize

SIDE = 24


@pytest.fixture
def folder(tmp_path):
    """Write six images with masks in two classes and two splits."""
    generator = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            for number in range(3 if split == "train" else 1):
                pixels = generator.integers(0, 256, (30, 40, 3), np.uint8)
                for place, content in (
                    (tmp_path / "p", Image.fromarray(pixels)),
                    (tmp_path / "p" / "masks", Image.fromarray(pixels[:, :, 0] // 128)),
                ):
                    path = place / split / name / f"{number}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    content.save(path)
    return tmp_path / "p"


@pytest.fixture
def uri(folder):
    return f"imagefolder:{folder}"


def dataset_of(uri, split="train"):
    return open_data(DataOptions(data=uri, size=SIDE), split)


def test_list_has_every_data_set_and_its_archives():
    found = data_list.run(DataListConfig())
    assert list(found) == list(DATASETS)
    assert found["stl10"]["archives"] == [
        "stl10_binary.tar.gz (MD5 91f7769df0f17e558f3565bffb0c7dfb)"
    ]


def test_info_counts_classes_and_names_missing_splits(uri):
    found = data_info.run(DataInfoConfig(uri=uri, size=SIDE))
    assert (found["classes"], found["kind"], found["size"]) == (2, "single-label", [SIDE, SIDE])
    assert found["splits"]["train"] == {
        "images": 6,
        "per_class": {"cat": 3, "dog": 3},
        "annotations": ["masks", "boxes"],
    }
    assert found["splits"]["validation"].startswith("split 'validation' of imagefolder: expected")


@pytest.mark.parametrize("command", [data_info, data_check])
def test_nothing_there_is_an_error(command, tmp_path):
    config = {data_info: DataInfoConfig, data_check: DataCheckConfig}[command]
    with pytest.raises(InputError, match=r"stl10_binary\.tar\.gz.*unpack it in"):
        command.run(config(uri=f"stl10:{tmp_path}"))


def test_check_reads_everything(uri):
    found = data_check.run(DataCheckConfig(uri=uri, size=SIDE))
    assert found["read"] == {"train/original": 6, "test/original": 2, "all/original": 0}


def test_check_names_every_bad_file(uri, folder, listener):
    (folder / "train" / "cat" / "1.png").write_bytes(b"no image")
    Image.new("L", (9, 9)).save(folder / "masks" / "test" / "dog" / "0.png")
    with pytest.raises(IntegrityError, match="expected 8 readable samples, got 2 faults"):
        data_check.run(DataCheckConfig(uri=uri, size=SIDE), listener)
    notes = "\n".join(listener.notes)
    assert notes.count("train train/cat/1.png: ") == 1
    assert notes.count("test test/dog/0.png: ") == 1
    assert "expected 40 x 30 pixels, as test/dog/0.png is displayed, got 9 x 9" in notes


def materialized(uri, output, **given):
    config = MaterializeConfig(uri=uri, size=SIDE, output=output, **given)
    return materialize.run(config).path


@pytest.mark.parametrize("suffix", ["zarr", "h5"])
def test_a_materialized_split_is_the_same_data_set(uri, tmp_path, suffix):
    path = materialized(uri, tmp_path / f"train.{suffix}", shard_size=4, batch_size=3)
    ours, original = dataset_of(f"zarr:{path}"), dataset_of(uri)
    rows = np.array([5, 0, 3, 3])
    assert list(ours.sample_ids) == list(original.sample_ids)
    assert (ours.classes, ours.size) == (original.classes, original.size)
    np.testing.assert_array_equal(ours.labels, original.labels)
    np.testing.assert_array_equal(ours.images(rows), original.images(rows))
    found, expected = ours.annotations(rows), original.annotations(rows)
    np.testing.assert_array_equal(found.masks, expected.masks)
    np.testing.assert_array_equal(np.stack(found.boxes), np.stack(expected.boxes))


def test_boxes_without_masks_are_kept(tmp_path):
    write_cub200(tmp_path, per_class=1)
    shutil.rmtree(tmp_path / "segmentations")
    uri = f"cub200:{tmp_path}"
    path = materialized(uri, tmp_path / "test.zarr", split="test")
    ours, original = dataset_of(f"zarr:{path}", "test"), dataset_of(uri, "test")
    rows = np.arange(len(original.sample_ids))
    found, expected = ours.annotations(rows), original.annotations(rows)
    assert found.masks is None
    for box, other in zip(found.boxes, expected.boxes, strict=True):
        np.testing.assert_array_equal(box, other)


def test_a_folder_of_splits_is_one_data_set(uri, tmp_path):
    for split in ("train", "test"):
        materialized(uri, tmp_path / "copy" / f"{split}.zarr", split=split)
    assert len(dataset_of(f"zarr:{tmp_path / 'copy'}", "test").sample_ids) == 2
    found = data_check.run(DataCheckConfig(uri=f"zarr:{tmp_path / 'copy'}"))
    assert found["read"] == {"train/original": 6, "test/original": 2}
    for split, count in {"train": 6, "test": 2}.items():
        one = f"zarr:{tmp_path / 'copy' / split}.zarr"
        assert data_info.run(DataInfoConfig(uri=one))["splits"][split]["images"] == count


def test_check_reads_the_annotations_of_another_split_of_the_same_images(tmp_path, listener):
    write_voc2007(tmp_path, per_class=1)
    masks = tmp_path / "VOCdevkit" / "VOC2007" / "SegmentationClass"
    name = (masks.parent / "ImageSets" / "Segmentation" / "train.txt").read_text().split()[0]
    (masks / f"{name}.png").write_bytes(b"garbage")
    with pytest.raises(IntegrityError, match="got 1 fault"):
        data_check.run(DataCheckConfig(uri=f"voc2007:{tmp_path}", size=SIDE), listener)
    assert any(f"seg_train {name}: " in text for text in listener.notes)


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_a_limit_keeps_the_same_images_of_every_split(uri, limit):
    whole = dataset_of(uri, "all")
    part = open_data(DataOptions(data=uri, size=SIDE, limit=limit), "all")
    assert len(part.sample_ids) == min(limit, 8)
    more = open_data(DataOptions(data=uri, size=SIDE, limit=limit + 1), "all")
    assert set(part.sample_ids) <= set(more.sample_ids) <= set(whole.sample_ids)


def test_folds_are_refused_where_there_are_none(uri):
    with pytest.raises(InputError, match="--fold 1: expected a data set with predefined folds"):
        open_data(DataOptions(data=uri, fold=1), "train")


def test_another_split_is_an_error(uri, tmp_path):
    path = materialized(uri, tmp_path / "x.zarr")
    with pytest.raises(InputError, match="split 'test', got those of 'train'; give --split train"):
        dataset_of(f"zarr:{path}", "test")


def test_other_artifacts_are_refused(tmp_path, write):
    arrays = {
        "sample_id": np.array(["a"], np.dtypes.StringDType()),
        "similarity": np.ones(1),
        "stability": np.ones(1),
        "explanation_consistency": np.ones(1),
        "weight": np.ones(1),
    }
    path = write(tmp_path / "w.zarr", "weights", arrays)
    with pytest.raises(InputError, match=r"pictures or samples artifact.*got weights"):
        dataset_of(f"zarr:{path}")


def test_boxes_of_many_classes_are_read_by_class(tmp_path, write):
    """Another program's multi-label images."""
    boxes = np.zeros((2, 3, 4), np.int64)
    boxes[0] = [[0, 0, 2, 2], [1, 1, 3, 3], [2, 2, 4, 4]]
    boxes[1, 0] = [0, 1, 2, 3]
    arrays = {
        "sample_id": np.array(["a", "b"], np.dtypes.StringDType()),
        "label": np.array([[1, 0, 1], [-1, 1, 0]], np.int8),
        "image": np.zeros((2, 3, 4, 4), np.uint8),
        "box": boxes,
        "box_class": np.array([[0, 2, 2], [1, -1, -1]]),
    }
    dataset = open_stored(
        DataRequest(
            path=str(write(tmp_path / "m.zarr", "pictures", arrays)), split="train", root=tmp_path
        )
    )
    everything = dataset.annotations(np.array([0, 1])).boxes
    assert [len(each) for each in everything] == [3, 1]
    found = dataset.annotations(np.array([0, 0, 1]), np.array([2, 0, 2])).boxes
    assert [each.tolist() for each in found] == [
        [[1, 1, 3, 3], [2, 2, 4, 4]],
        [[0, 0, 2, 2]],
        [],
    ]
    copied = materialize.CopyWork(dataset, dataset.images)
    again = copied.compute(copied.load(np.array([0, 1])))
    np.testing.assert_array_equal(again["box"], boxes)
    np.testing.assert_array_equal(again["box_class"], arrays["box_class"])


def test_materializing_again_does_nothing(uri, tmp_path):
    path = materialized(uri, tmp_path / "x.zarr")
    with Artifact(path) as artifact:
        first = artifact.id
    before = path.stat().st_mtime_ns
    materialized(uri, path)
    assert path.stat().st_mtime_ns == before
    with Artifact(materialized(uri, tmp_path / "y.zarr", shard_size=2)) as artifact:
        assert artifact.id != first
