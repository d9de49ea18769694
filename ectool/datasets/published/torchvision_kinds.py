"""Folders, splits and archives of the data sets that torchvision reads from local files.

Names, checksums and arguments are those of ``torchvision.datasets``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ectool.datasets.base import SPLITS
from ectool.datasets.catalogue import Archive
from ectool.datasets.splits import ALL

Arguments = Mapping[str, object]

TRAINING = "train+validation"
OFFERED = ("train", "validation", TRAINING, "test")


@dataclass(frozen=True)
class Kind:
    """Description of a class of ``torchvision.datasets``.

    Attributes:
        folder: Folder of its files below torchvision's root; empty for the root itself.
        place: Folder below the root to unpack its archives in.
        parts: Arguments of the class for each published split: train, validation, test; or all if
            there are no published splits.
        archives: Files to download.
        arrays: Whether the class decodes all images at once.
        attributes: Attributes of the class with images and labels (two), or with pairs of path and
            label (one); none if it calls a loader with the path of an image.
    """

    folder: str
    place: str
    parts: Mapping[str, Arguments]
    archives: tuple[Archive, ...]
    arrays: bool = False
    attributes: tuple[str, ...] = ()

    def sources(self, split: str) -> tuple[str, ...]:
        """Return the published parts that contain a split; empty if there is no such split."""
        if ALL in self.parts:
            return (ALL,) if split in (*SPLITS, ALL) else ()
        if split in self.parts:
            return (split,)
        if split == TRAINING and "validation" in self.parts:
            return "train", "validation"
        return ("train",) if split in ("validation", TRAINING) else ()

    def splits(self) -> tuple[str, ...]:
        """Return the available splits."""
        return tuple(split for split in (*OFFERED, ALL) if self.sources(split))


def _md5(name: str, digest: str) -> Archive:
    return Archive(name, f"MD5 {digest}")


_TARGETS = ("data", "targets")
_BY_FLAG = {"train": {"train": True}, "test": {"train": False}}
_BY_NAME = {"train": {"split": "train"}, "test": {"split": "test"}}
_THREE = {**_BY_NAME, "validation": {"split": "val"}}
_WHOLE: Mapping[str, Arguments] = {ALL: {}}


def _mnist(name: str, *digests: str) -> Kind:
    files = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    archives = (_md5(f"{file}-ubyte.gz", md5) for file, md5 in zip(files, digests, strict=True))
    return Kind(f"{name}/raw", f"{name}/raw", _BY_FLAG, tuple(archives), True, _TARGETS)


KINDS: dict[str, Kind] = {
    "CIFAR10": Kind(
        folder="cifar-10-batches-py",
        place="",
        parts=_BY_FLAG,
        archives=(_md5("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),),
        arrays=True,
        attributes=_TARGETS,
    ),
    "CIFAR100": Kind(
        folder="cifar-100-python",
        place="",
        parts=_BY_FLAG,
        archives=(_md5("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),),
        arrays=True,
        attributes=_TARGETS,
    ),
    "Country211": Kind(
        folder="country211",
        place="",
        parts={**_BY_NAME, "validation": {"split": "valid"}},
        archives=(_md5("country211.tgz", "84988d7644798601126c29e9877aab6a"),),
    ),
    "DTD": Kind(
        folder="dtd/dtd",
        place="dtd",
        parts=_THREE,
        archives=(_md5("dtd-r1.0.1.tar.gz", "fff73e5086ae6bdbea199a49dfb8a4c1"),),
    ),
    "EuroSAT": Kind(
        folder="eurosat",
        place="eurosat",
        parts=_WHOLE,
        archives=(_md5("EuroSAT.zip", "c8fa014336c82ac7804f0398fcb19387"),),
    ),
    "FGVCAircraft": Kind(
        folder="fgvc-aircraft-2013b",
        place="",
        parts=_THREE,
        archives=(Archive("fgvc-aircraft-2013b.tar.gz"),),
    ),
    "FashionMNIST": _mnist(
        "FashionMNIST",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    "Flowers102": Kind(
        folder="flowers-102",
        place="flowers-102",
        parts=_THREE,
        archives=(
            _md5("102flowers.tgz", "52808999861908f626f3c1f4e79d11fa"),
            _md5("imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"),
            _md5("setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"),
        ),
    ),
    "Food101": Kind(
        folder="food-101",
        place="",
        parts=_BY_NAME,
        archives=(_md5("food-101.tar.gz", "85eeb15f3717b99a5da872d97d918f87"),),
    ),
    "GTSRB": Kind(
        folder="gtsrb",
        place="gtsrb",
        parts=_BY_NAME,
        archives=(
            _md5("GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478"),
            _md5("GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185"),
            _md5("GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5"),
        ),
        attributes=("_samples",),
    ),
    "Imagenette": Kind(
        folder="imagenette2",
        place="",
        parts={"train": {"split": "train"}, "test": {"split": "val"}},
        archives=(_md5("imagenette2.tgz", "fe2fc210e6bb7c5664d602c3cd71e612"),),
    ),
    "KMNIST": _mnist(
        "KMNIST",
        "bdb82020997e1d708af4cf47b453dcf7",
        "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    ),
    "MNIST": _mnist(
        "MNIST",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    "OxfordIIITPet": Kind(
        folder="oxford-iiit-pet",
        place="oxford-iiit-pet",
        parts={"train": {"split": "trainval"}, "test": {"split": "test"}},
        archives=(
            _md5("images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
            _md5("annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f"),
        ),
        attributes=("_images", "_labels"),
    ),
    "RenderedSST2": Kind(
        folder="rendered-sst2",
        place="",
        parts=_THREE,
        archives=(_md5("rendered-sst2.tgz", "2384d08e9dcfa4bd55b324e610496ee5"),),
    ),
    "SUN397": Kind(
        folder="SUN397",
        place="",
        parts=_WHOLE,
        archives=(_md5("SUN397.tar.gz", "8ca2778205c41d23104230ba66911c7a"),),
    ),
    "SVHN": Kind(
        folder="",
        place="",
        parts=_BY_NAME,
        archives=(
            _md5("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"),
            _md5("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"),
        ),
        arrays=True,
        attributes=("data", "labels"),
    ),
    "StanfordCars": Kind(
        folder="stanford_cars",
        place="stanford_cars",
        parts=_BY_NAME,
        archives=(
            Archive("cars_train.tgz"),
            Archive("cars_test.tgz"),
            Archive("car_devkit.tgz"),
            Archive("cars_test_annos_withlabels.mat"),
        ),
    ),
    "USPS": Kind(
        folder="",
        place="",
        parts=_BY_FLAG,
        archives=(
            _md5("usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197"),
            _md5("usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118"),
        ),
        arrays=True,
        attributes=_TARGETS,
    ),
}
