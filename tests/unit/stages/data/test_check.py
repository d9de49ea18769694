"""`data check` names every injected fault, and reads the rest."""

from __future__ import annotations

import os
import re
import shutil

import numpy as np
import pytest
import zarr
from miniatures.csv_images import write_csv
from miniatures.cub200 import write_cub200
from miniatures.imagenet9 import write_imagenet9
from miniatures.stl10 import write_stl10
from miniatures.torchvision_sets import write_torchvision
from miniatures.voc import write_voc2007
from PIL import Image

from ectool.config import DataCheckConfig, DataInfoConfig, MaterializeConfig
from ectool.datasets.image_arrays import ImageArrays
from ectool.datasets.sample_ids import check_sample_ids
from ectool.errors import FaultyDataError, InputError, IntegrityError
from ectool.stages.common.inputs import open_data, view_options
from ectool.stages.data import check as data_check
from ectool.stages.data import info as data_info
from ectool.stages.data import materialize
from ectool.types import SILENT


def write_folder(folder):
    """Write images with masks and boxes in two splits and two classes."""
    generator = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            for number in range(3):
                pixels = generator.integers(0, 256, (30, 40, 3), np.uint8)
                for top, content in ((folder, pixels), (folder / "masks", pixels[..., 0] // 128)):
                    path = top / split / name / f"{number}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(content).save(path)
    (folder / "boxes.csv").write_text("path,x0,y0,x1,y1\ntrain/cat/0.png,1,1,9,9\n")


def write_stored(folder):
    write_folder(folder / "source")
    source, output = f"imagefolder:{folder / 'source'}", folder / "z" / "train.zarr"
    materialize.run(MaterializeConfig(uri=source, size=24, output=output, shard_size=4))


SETS = {
    "imagefolder:{}": write_folder,
    "csv:{}/lists/insects.csv": lambda folder: write_csv(folder, 2),
    "cub200:{}": lambda folder: write_cub200(folder, 2),
    "imagenet9:{}": lambda folder: write_imagenet9(folder, 2, 2, 24),
    "stl10:{}": lambda folder: write_stl10(folder / "stl10_binary", 2, 1, 3),
    "torchvision:MNIST:{}": lambda folder: write_torchvision("MNIST", folder, 2),
    "torchvision:DTD:{}": lambda folder: write_torchvision("DTD", folder, 2),
    "voc2007:{}": lambda folder: write_voc2007(folder, 1),
    "zarr:{}/z": write_stored,
}
FAULTS = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "torn": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "others": lambda path: path.write_bytes(bytes(range(7, 255))),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "link": lambda path: (path.unlink(), path.symlink_to("/nowhere")),
}
BROKEN = [
    ("imagefolder:{}", "train/cat/1.png"),
    ("imagefolder:{}", "masks/train/dog/1.png"),
    ("csv:{}/lists/insects.csv", "my images/train 01.png"),
    ("csv:{}/lists/insects.csv", "masks/test 02.png"),
    ("cub200:{}", "CUB_200_2011/images/*/*_0002_*.jpg"),
    ("cub200:{}", "segmentations/*/*_0002_*.png"),
    ("cub200:{}", "CUB_200_2011/bounding_boxes.txt"),
    ("cub200:{}", "CUB_200_2011/parts/part_locs.txt"),
    ("imagenet9:{}", "bg_challenge/fg_mask/val/01_bird/*.npy"),
    ("stl10:{}", "stl10_binary/train_X.bin"),
    ("stl10:{}", "stl10_binary/test_X.bin"),
    ("stl10:{}", "stl10_binary/class_names.txt"),
    ("stl10:{}", "stl10_binary/fold_indices.txt"),
    ("torchvision:MNIST:{}", "MNIST/raw/t10k-images-idx3-ubyte"),
    ("torchvision:DTD:{}", "dtd/dtd/images/*/*.jpg"),
    ("voc2007:{}", "VOCdevkit/VOC2007/JPEGImages/*.jpg"),
    ("voc2007:{}", "VOCdevkit/VOC2007/Annotations/*.xml"),
    ("voc2007:{}", "VOCdevkit/VOC2007/ImageSets/Main/cat_val.txt"),
    ("zarr:{}/z", "z/train.zarr/image/c/1/0/0/0"),
    ("zarr:{}/z", "z/train.zarr/label/c/0"),
]
INJECTED = [
    pytest.param(*broken, fault, id=f"{broken[1]}-{fault}")
    for row, broken in enumerate(BROKEN)
    for column, fault in enumerate(FAULTS)
    if (row + column) % 3 == 0
]
"""Two faults for each file: all six for every kind of file, over the data sets."""
IN_ONE = {"torchvision:MNIST:{}": "MNIST", "zarr:{}/z": "train.zarr"}
"""What a fault is named by where one reader takes several files for one thing."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Return the folder of each data set, written once."""
    found = {}
    for uri, write in SETS.items():
        found[uri] = tmp_path_factory.mktemp("source")
        write(found[uri])
    return found


@pytest.fixture
def own(sources, tmp_path):
    """Return a function that copies a data set, for a test to break."""
    return lambda uri: shutil.copytree(sources[uri], tmp_path / "own", symlinks=True)


def checked(uri, reporter=SILENT):
    return data_check.run(DataCheckConfig(uri=uri, size=16), reporter)


@pytest.mark.parametrize("uri", SETS)
def test_undamaged_data_have_no_faults_and_are_counted(sources, uri):
    found = checked(uri.format(sources[uri]))
    assert found["bad"] == 0
    for name, row in found["splits"].items():
        assert row["bad"] == 0
        assert found["read"][name] == row["read"] <= row["images"]
    first = next(iter(found["splits"].values()))
    assert first["images"] == first["read"] > 0


@pytest.mark.parametrize(("uri", "pattern", "fault"), INJECTED)
def test_every_broken_file_is_named(own, uri, pattern, fault, listener):
    folder = own(uri)
    path = sorted(folder.glob(pattern))[0]
    FAULTS[fault](path)
    with pytest.raises(IntegrityError, match="named above"):
        checked(uri.format(folder), listener)
    assert any(
        IN_ONE.get(uri, path.name) in text for text in listener.notes if "skipped: " not in text
    )


def test_the_check_goes_on_after_the_first_fault(own, listener):
    uri = "cub200:{}"
    folder = own(uri)
    images = sorted((folder / "CUB_200_2011" / "images").glob("*/*.jpg"))
    images[0].unlink()
    images[3].write_bytes(b"")
    images[5].write_bytes(images[5].read_bytes()[:200])
    mask = sorted((folder / "segmentations").glob("*/*.png"))[7]
    Image.new("L", (3, 3)).save(mask)
    boxes = folder / "CUB_200_2011" / "bounding_boxes.txt"
    boxes.write_text(boxes.read_text() + "1 0 0 9 9\n")
    with pytest.raises(IntegrityError, match="expected 16 readable samples, got 5 faults"):
        checked(uri.format(folder), listener)
    for path in (images[0], images[3], images[5], mask, boxes):
        assert sum(str(path.name) in text for text in listener.notes) == 1
    assert any(re.match("train/original: 8 images, 8 read, ", text) for text in listener.notes)


def test_faults_of_folders_are_named_one_by_one(own, listener):
    uri = "imagefolder:{}"
    folder = own(uri)
    (folder / "train" / "empty").mkdir()
    (folder / "masks" / "train" / "cat" / "2.png").unlink()
    (folder / "test" / "dog" / "0.png").unlink()
    with (folder / "boxes.csv").open("a") as file:
        file.write("train/cat/9.png,1,1,9,9\ntrain/cat/1.png,1\ntrain/cat/1.png,90,90,99,99\n")
    (folder / "test" / "cat" / "0.png").rename(
        folder / "test" / "cat" / os.fsdecode(b"caf\xe9.png")
    )
    with pytest.raises(IntegrityError, match="named above"):
        checked(uri.format(folder), listener)
    notes = "\n".join(listener.notes)
    for part in (
        "train/empty: expected images",
        "masks/train/cat/2.png: expected the mask of train/cat/2.png",
        "masks/test/dog/0.png: expected its image",
        "boxes.csv, line 3: expected an image",
        "boxes.csv, line 4: expected 5 cells",
        "the box of train/cat/1.png: expected a part",
        r"test/cat/caf\udce9.png: expected a sample id of printable text",
    ):
        assert part in notes
    assert sum("a sample id of printable text" in text for text in listener.notes) == 1


def test_the_error_holds_what_the_document_of_good_data_holds(own):
    uri = "imagefolder:{}"
    folder = own(uri)
    good = checked(uri.format(folder))
    (folder / "train" / "cat" / "1.png").write_bytes(b"no image")
    with pytest.raises(FaultyDataError, match="got 1 fault, named above") as raised:
        checked(uri.format(folder))
    document = raised.value.result
    assert document.keys() == good.keys()
    assert (good["bad"], good["faults"]) == (0, [])
    assert document["bad"] == len(document["faults"]) == 1
    assert "train/cat/1.png: expected a readable image" in document["faults"][0]
    assert document["splits"]["train/original"]["bad"] == 1
    assert document["skipped"] == good["skipped"]


def test_rows_of_a_table_are_named_one_by_one(own, listener):
    uri = "csv:{}/lists/insects.csv"
    folder = own(uri)
    table = folder / "lists" / "insects.csv"
    lines = table.read_text("utf-8-sig").splitlines()
    lines[2] = lines[2].replace("train 01", "nowhere", 1)
    lines[4] = lines[4].replace("train,", "training set,", 1)
    lines.append(lines[6])
    table.write_text("\n".join([*lines, "x"]), "utf-8")
    with pytest.raises(IntegrityError, match="named above"):
        checked(uri.format(folder), listener)
    notes = "\n".join(listener.notes)
    assert "line 3: expected a file" in notes
    assert "line 5: expected a split" in notes
    assert f"line {len(lines)}: expected every path once" in notes
    assert f"line {len(lines) + 1}: expected 9 cells" in notes


def test_labels_out_of_range_are_named_one_by_one(tmp_path, listener):
    group = zarr.create_group(tmp_path / "train.zarr")
    group.create_array("sample_id", data=np.array(list("abcd"), np.dtypes.StringDType()))
    group.create_array("label", data=np.array([0, 7, 1, -3]))
    group.create_array("image", data=np.zeros((4, 3, 8, 8), np.uint8))
    group.attrs.update({"schema": "pictures", "classes": ["x", "y"]})
    with pytest.raises(IntegrityError, match="expected 4 readable samples, got 2 faults"):
        checked(f"zarr:{tmp_path}", listener)
    assert [text.split(": ")[1] for text in listener.notes[:2]] == ["label of b", "label of d"]


@pytest.mark.parametrize("uri", SETS)
def test_a_data_set_without_any_file_is_missing_input(uri, tmp_path):
    with pytest.raises(InputError, match=r"expected .* got ") as raised:
        checked(uri.format(tmp_path / "nothing"))
    assert raised.value.exit_code == 3


def test_skipped_files_are_counted(own):
    uri = "imagefolder:{}"
    folder = own(uri)
    for name in (".DS_Store", "train/.hidden.png", "train/cat/notes.txt", "train/cat/a.eps"):
        (folder / name).touch()
    (folder / "train" / ".ipynb_checkpoints").mkdir()
    Image.new("L", (3, 3)).save(folder / "train" / "beside.png")
    expected = {
        "hidden files and folders": f"3, the first {folder}/.DS_Store",
        "images that no split uses": f"1, the first {folder}/train/beside.png",
        "files that are not images": f"2, the first {folder}/train/cat/a.eps",
    }
    assert checked(uri.format(folder))["skipped"] == expected
    info = data_info.run(DataInfoConfig(uri=uri.format(folder), size=16))
    assert info["skipped"] == expected


@pytest.mark.parametrize(
    ("name", "got"),
    [
        (b"caf\xe9.png", r"caf\\udce9\.png: .* got bytes that are not UTF-8; rename"),
        (b"a\nb.png", r"a\\nb\.png: .* got control characters"),
        (b"\x1b[2J.png", r"\\x1b\[2J\.png: .* got control characters"),
        ("a\u2028b.png".encode(), r"a\\u2028b\.png: .* got control characters"),
    ],
)
def test_names_that_cannot_be_ids_are_refused_when_the_data_are_opened(own, name, got):
    uri = "imagefolder:{}"
    folder = own(uri)
    path = os.fsencode(folder / "train" / "cat") + b"/" + name
    shutil.copy(folder / "train" / "cat" / "0.png", path)
    shutil.rmtree(folder / "masks")
    with pytest.raises(InputError, match=got):
        open_data(view_options(uri.format(folder), DataCheckConfig(uri=uri)), "train")


def test_ids_that_differ_in_their_normalisation_are_different():
    def refuse(fault):
        raise fault

    def check(*sample_ids):
        none = np.zeros(len(sample_ids), np.int64)
        dataset = ImageArrays("x/train", sample_ids, none, ("a",), (1, 1), np.array, str)
        check_sample_ids("x", dataset, refuse)

    check("caf\u00e9", "cafe\u0301", "a" * 300, "Käfer, 1.png")
    with pytest.raises(InputError, match=r"x a: .* got it 2 times"):
        check("a", "b", "a")
    with pytest.raises(InputError, match=r"x \\x00: .* got control"):
        check("b", "\x00")
    with pytest.raises(InputError, match="got an empty one"):
        check("b", "")
