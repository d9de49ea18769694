from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets
from miniatures.torchvision_sets import N_CLASSES, WRITERS, write_torchvision

from ectool.datasets.base import DataRequest
from ectool.datasets.published.torchvision_kinds import KINDS
from ectool.datasets.published.torchvision_sets import open_torchvision
from ectool.datasets.splits import drawn_split
from ectool.datasets.views import View
from ectool.errors import InputError

SIDE = 12
PER_CLASS = 11
CHECKED = ("cifar", "flowers102", "svhn")
"""The modules of torchvision that compare checksums when they open files."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Write a miniature of everything into one root; not to be changed, see `own`."""
    root = tmp_path_factory.mktemp("torchvision")
    for name in WRITERS:
        write_torchvision(name, root, PER_CLASS)
    return root


@pytest.fixture
def own(tmp_path):
    """Return a function that writes the miniature of one data set to a folder of its own."""

    def write(name):
        write_torchvision(name, tmp_path, PER_CLASS)
        return tmp_path

    return write


@pytest.fixture
def trusting(monkeypatch):
    """Let torchvision read files that are not the published ones."""
    for module in CHECKED:
        path = f"torchvision.datasets.{module}.check_integrity"
        monkeypatch.setattr(path, lambda file, md5=None: Path(file).is_file())


def open_split(name, root, split, path="", view=None):
    uri = f"{name}:{path}" if path else name
    return open_torchvision(
        DataRequest(path=uri, split=split, root=root, view=view or View(SIDE, "squash"))
    )


def every(dataset):
    return np.arange(len(dataset.sample_ids))


def official_split(kind, part):
    return "train+validation" if part == "train" and "validation" not in kind.parts else part


PARTS = [(name, part) for name, kind in KINDS.items() for part in kind.parts]


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(("name", "part"), PARTS)
def test_images_labels_and_classes_are_torchvisions(root, name, part):
    kind = KINDS[name]
    peer = getattr(torchvision.datasets, name)(str(root), **kind.parts[part])
    ours = open_split(name, root, official_split(kind, part))
    expected = []
    for image, label in (peer[row] for row in range(len(peer))):
        image = image.convert("RGB")
        shown = np.asarray(image) if kind.arrays else ours_view(image)
        expected.append((int(label), shown.transpose(2, 0, 1).tobytes()))
    images = ours.images(every(ours))
    found = [
        (int(label), image.tobytes()) for label, image in zip(ours.labels, images, strict=True)
    ]
    assert sorted(found) == sorted(expected)
    assert found == expected or not kind.arrays
    assert ours.labels.dtype == np.int64
    named = getattr(peer, "classes", None)
    if named is None:
        assert ours.classes == tuple(map(str, range(N_CLASSES)))
    elif isinstance(named[0], str):
        assert ours.classes == tuple(named)
    else:
        assert ours.classes == tuple(names[0] for names in named)


def ours_view(image):
    return View(SIDE, "squash").place(*image.size).image(image)


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("name", KINDS)
def test_splits_are_disjoint_and_together_the_published_ones(root, name):
    kind = KINDS[name]
    parts = {split: open_split(name, root, split) for split in ("train", "validation", "test")}
    ids = [name for dataset in parts.values() for name in dataset.sample_ids]
    assert len(ids) == len(set(ids))
    wholes = ("all",) if "all" in kind.parts else ("train+validation", "test")
    assert set(ids) == {n for whole in wholes for n in open_split(name, root, whole).sample_ids}
    if "all" in kind.parts:
        for split, dataset in parts.items():
            assert {drawn_split(name) for name in dataset.sample_ids} <= {split}
    elif "validation" not in kind.parts:
        train, validation = (np.bincount(parts[s].labels) for s in ("train", "validation"))
        np.testing.assert_array_equal(validation, (train + validation) // 10)


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    ("name", "split", "first"),
    [
        ("CIFAR10", "test", "test/00000"),
        ("SVHN", "train+validation", "train/00000"),
        ("GTSRB", "train+validation", "GTSRB/Training/00000/00000_00000.ppm"),
        ("Flowers102", "train", "jpg/image_00001.jpg"),
        ("EuroSAT", "all", "2750/AnnualCrop/AnnualCrop_1.jpg"),
    ],
)
def test_ids_are_paths_or_positions(root, name, split, first):
    dataset = open_split(name, root, split)
    assert dataset.sample_ids[0] == first
    assert dataset.name == f"torchvision/{name}/{split}"


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(("name", "side"), [("CIFAR100", 32), ("MNIST", 28), ("USPS", 16)])
def test_arrays_keep_their_size_and_are_read_in_any_order(root, name, side):
    dataset = open_split(name, root, "validation", view=View(224))
    assert dataset.size == (side, side)
    images = dataset.images(every(dataset))
    np.testing.assert_array_equal(dataset.images(every(dataset)[::-1]), images[::-1])
    whole = dataset.images(np.array([1]), lambda index, width, height: (0, 0, width, height))
    np.testing.assert_array_equal(whole[0], images[1])


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("MNIST", ""),
        ("MNIST", "MNIST"),
        ("MNIST", "MNIST/raw"),
        ("DTD", ""),
        ("DTD", "dtd"),
        ("DTD", "dtd/dtd"),
        ("SVHN", ""),
    ],
)
def test_the_path_is_the_root_or_the_folder_in_it(root, tmp_path, name, below):
    dataset = open_split(name, tmp_path, "test", path=root / below)
    assert dataset.sample_ids == open_split(name, root, "test").sample_ids


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("name", ["MNIST", "EuroSAT"])
def test_fingerprints_tell_splits_and_contents_apart(own, tmp_path, name):
    def fingerprint(split):
        return open_split(name, tmp_path, split).fingerprint

    splits = KINDS[name].splits()
    own(name)
    prints = {split: fingerprint(split) for split in splits}
    assert len(set(prints.values())) == len(splits)
    assert fingerprint("test") == prints["test"]
    if name == "MNIST":
        changed = tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
        content = bytearray(changed.read_bytes())
        content[-1] ^= 1
        changed.write_bytes(content)
    else:
        first, second = open_split(name, tmp_path, "test").sample_ids[:2]
        shutil.copyfile(tmp_path / "eurosat" / first, tmp_path / "eurosat" / second)
    assert fingerprint("test") != prints["test"]
    assert fingerprint("train") == prints["train"]


@pytest.mark.parametrize("name", KINDS)
def test_names_and_checksums_are_torchvisions(name):
    source = inspect.getsource(inspect.getmodule(getattr(torchvision.datasets, name)))
    for archive in KINDS[name].archives:
        if archive.checksum:
            assert archive.name in source
            assert archive.checksum.removeprefix("MD5 ") in source
    published = re.search("[0-9a-f]{32}", source) is not None
    assert {bool(archive.checksum) for archive in KINDS[name].archives} == {published}


@pytest.mark.parametrize("name", KINDS)
def test_errors_of_missing_files_name_archive_and_folder(tmp_path, name):
    kind = KINDS[name]
    with pytest.raises(InputError, match=rf"as torchvision\.datasets\.{name} reads them") as caught:
        open_split(name, tmp_path, "test")
    for archive in kind.archives:
        assert str(archive) in str(caught.value)
    assert str(caught.value).endswith(f"unpack in {tmp_path / kind.place}")
    assert "download=True" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_files_that_are_not_the_published_ones_are_refused_before_they_are_unpickled(own):
    with pytest.raises(InputError, match=r"cifar-10-batches-py: .*got Dataset not found or corr"):
        open_split("CIFAR10", own("CIFAR10"), "test")


LISTS = [
    ("DTD", "dtd/dtd/labels/test1.txt"),
    ("FGVCAircraft", "fgvc-aircraft-2013b/data/images_variant_test.txt"),
    ("Food101", "food-101/meta/test.json"),
    ("GTSRB", "gtsrb/GT-final_test.csv"),
    ("MNIST", "MNIST/raw/t10k-images-idx3-ubyte"),
    ("MNIST", "MNIST/raw/t10k-labels-idx1-ubyte"),
    ("OxfordIIITPet", "oxford-iiit-pet/annotations/test.txt"),
    ("StanfordCars", "stanford_cars/cars_test_annos_withlabels.mat"),
    ("USPS", "usps.t.bz2"),
]


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(("name", "file"), LISTS)
def test_missing_lists_are_errors_that_name_the_archives(own, name, file):
    root = own(name)
    (root / file).unlink()
    with pytest.raises(InputError, match=rf"datasets\.{name} reads them"):
        open_split(name, root, "test")


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(("name", "file"), LISTS)
@pytest.mark.parametrize("share", [0, 0.5, 0.97])
def test_a_list_that_is_cut_off_is_an_error_or_names_too_few_images(own, name, file, share):
    root = own(name)
    whole = set(open_split(name, root, "test").sample_ids)
    content = (root / file).read_bytes()
    (root / file).write_bytes(content[: int(share * len(content))])
    assert readable(name, root) < whole


def readable(name, root):
    """Return the ids of a test split that can be read, none where it is refused."""
    try:
        dataset = open_split(name, root, "test")
        dataset.images(every(dataset))
    except InputError:
        return set()
    return set(dataset.sample_ids)


def test_a_truncated_image_is_an_error_when_it_is_read(own):
    root = own("OxfordIIITPet")
    dataset = open_split("OxfordIIITPet", root, "test")
    path = root / "oxford-iiit-pet" / dataset.sample_ids[3]
    path.write_bytes(path.read_bytes()[:200])
    assert dataset.images(np.array([2, 4])).shape == (2, 3, SIDE, SIDE)
    with pytest.raises(InputError, match=rf"{path.name}: expected a readable image"):
        dataset.images(np.array([3]))


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("cifar10", "write torchvision:CIFAR10"),
        ("Flowers", "write torchvision:Flowers102"),
        ("", "write torchvision:NAME or NAME:PATH"),
        ("CocoDetection", "write torchvision:NAME"),
    ],
)
def test_an_unknown_name_is_an_error_that_helps(tmp_path, name, fix):
    with pytest.raises(InputError, match=rf"torchvision:{name}: expected one of CIFAR10, .*{fix}"):
        open_split(name, tmp_path, "test")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("EuroSAT", "train, validation, test, all"),
        ("DTD", r"train, validation, train\+validation, test,"),
    ],
)
def test_an_unknown_split_is_an_error(tmp_path, name, known):
    with pytest.raises(InputError, match=rf"'dev' of torchvision:{name}: expected one of {known}"):
        open_split(name, tmp_path, "dev")
