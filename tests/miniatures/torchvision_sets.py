"""Miniatures of the data sets that torchvision reads, laid out as their archives unpack.

What of the formats they show: CIFAR's pickled batches with rows of channels; MNIST's idx files,
big-endian; SVHN's MATLAB arrays with the images last and 10 for the digit 0; USPS as LIBSVM text
in bz2; lists that count classes and images from 1, from 0, by name or by folder; names with
spaces and dots; folders without splits.
"""

from __future__ import annotations

import bz2
import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.io import savemat

from miniatures.shapes import draw

N_CLASSES = 3


@dataclass
class Artist:
    """Draws images of the classes in turn.

    Attributes:
        per_class: Images of each class in every part.
        generator: Source of everything random.
    """

    per_class: int
    generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(13))

    def labels(self) -> list[int]:
        """Return the classes of a part's images, mixed."""
        return [number % N_CLASSES for number in range(N_CLASSES * self.per_class)]

    def save(self, path: Path, label: int) -> None:
        """Write an image file of a size of its own."""
        width, height = (int(side) for side in self.generator.integers(24, 40, 2))
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(self.generator, label, N_CLASSES, width, height).image.save(path)

    def arrays(self, labels: list[int], side: int) -> np.ndarray:
        """Return images (n, side, side, 3)."""
        return np.stack([draw(self.generator, c, N_CLASSES, side, side).pixels for c in labels])

    def parts(self, *names: str) -> Iterator[tuple[str, int, int]]:
        """Yield (part, number of the image over all parts, class)."""
        number = 0
        for name in names:
            for label in self.labels():
                yield name, number, label
                number += 1


def write_torchvision(name: str, root: Path, per_class: int = 11) -> None:
    """Write the miniature of one data set below torchvision's root."""
    WRITERS[name](root, Artist(per_class))


def _lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def _pickle(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))


def _cifar_batch(artist: Artist, key: str) -> dict[str, object]:
    labels = artist.labels()
    return {"data": artist.arrays(labels, 32).transpose(0, 3, 1, 2).reshape(-1, 3072), key: labels}


def _cifar10(root: Path, artist: Artist) -> None:
    folder = root / "cifar-10-batches-py"
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        _pickle(folder / name, _cifar_batch(artist, "labels"))
    _pickle(folder / "batches.meta", {"label_names": ["airplane", "automobile", "bird"]})


def _cifar100(root: Path, artist: Artist) -> None:
    folder = root / "cifar-100-python"
    for name in ("train", "test"):
        _pickle(folder / name, _cifar_batch(artist, "fine_labels"))
    _pickle(folder / "meta", {"fine_label_names": ["apple", "aquarium_fish", "baby"]})


def _mnist(name: str) -> Callable[[Path, Artist], None]:
    def write(root: Path, artist: Artist) -> None:
        for part in ("train", "t10k"):
            labels = artist.labels()
            images = artist.arrays(labels, 28).max(axis=3)
            _idx(root / name / "raw" / f"{part}-images-idx3-ubyte", images)
            _idx(root / name / "raw" / f"{part}-labels-idx1-ubyte", np.array(labels, np.uint8))

    return write


def _idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = np.array([0x800 + array.ndim, *array.shape], ">i4")
    path.write_bytes(header.tobytes() + array.tobytes())


def _svhn(root: Path, artist: Artist) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        labels = artist.labels()
        images = artist.arrays(labels, 32).transpose(1, 2, 3, 0)
        counted = np.where(np.array(labels) == 0, 10, labels).astype(np.uint8)[:, None]
        savemat(root / f"{part}_32x32.mat", {"X": images, "y": counted})


def _usps(root: Path, artist: Artist) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for name in ("usps.bz2", "usps.t.bz2"):
        labels = artist.labels()
        grey = artist.arrays(labels, 16).max(axis=3).reshape(len(labels), -1) / 127.5 - 1
        lines = [
            f"{label + 1} " + " ".join(f"{n}:{value:.6f}" for n, value in enumerate(row, 1))
            for label, row in zip(labels, grey, strict=True)
        ]
        (root / name).write_bytes(bz2.compress("\n".join(lines).encode()))


def _country211(root: Path, artist: Artist) -> None:
    for part, number, label in artist.parts("train", "valid", "test"):
        name = ("AD", "AE", "ZW")[label]
        artist.save(root / "country211" / part / name / f"{number}_12.3.jpg", label)


def _dtd(root: Path, artist: Artist) -> None:
    folder = root / "dtd" / "dtd"
    listed: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for part, number, label in artist.parts(*listed):
        texture = ("banded", "knitted", "zigzagged")[label]
        listed[part].append(f"{texture}/{texture}_{number:04d}.jpg")
        artist.save(folder / "images" / listed[part][-1], label)
    for part, lines in listed.items():
        _lines(folder / "labels" / f"{part}1.txt", lines)


def _eurosat(root: Path, artist: Artist) -> None:
    for _, number, label in artist.parts("all"):
        name = ("AnnualCrop", "Forest", "River")[label]
        artist.save(root / "eurosat" / "2750" / name / f"{name}_{number + 1}.jpg", label)


def _aircraft(root: Path, artist: Artist) -> None:
    folder, names = root / "fgvc-aircraft-2013b" / "data", ("A300B4", "Boeing 717", "Yak-42")
    listed: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for part, number, label in artist.parts(*listed):
        listed[part].append(f"{number:07d} {names[label]}")
        artist.save(folder / "images" / f"{number:07d}.jpg", label)
    _lines(folder / "variants.txt", list(names))
    for part, lines in listed.items():
        _lines(folder / f"images_variant_{part}.txt", lines)


def _flowers102(root: Path, artist: Artist) -> None:
    folder = root / "flowers-102"
    numbers: dict[str, list[int]] = {"trnid": [], "valid": [], "tstid": []}
    labels = []
    for part, number, label in artist.parts(*numbers):
        numbers[part].append(number + 1)
        labels.append(label + 1)
        artist.save(folder / "jpg" / f"image_{number + 1:05d}.jpg", label)
    savemat(folder / "imagelabels.mat", {"labels": np.array(labels, np.uint8)[None]})
    savemat(folder / "setid.mat", {part: np.array(ids)[None] for part, ids in numbers.items()})


def _food101(root: Path, artist: Artist) -> None:
    listed: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
    for part, number, label in artist.parts(*listed):
        dish = ("apple_pie", "baklava", "waffles")[label]
        listed[part].setdefault(dish, []).append(f"{dish}/{1000 + number}")
        artist.save(root / "food-101" / "images" / dish / f"{1000 + number}.jpg", label)
    for part, dishes in listed.items():
        _lines(root / "food-101" / "meta" / f"{part}.json", [json.dumps(dishes)])


def _gtsrb(root: Path, artist: Artist) -> None:
    folder = root / "gtsrb"
    lines = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    for part, number, label in artist.parts("train", "test"):
        if part == "train":
            track = f"{label:05d}/{number // 9:05d}_{number:05d}.ppm"
            artist.save(folder / "GTSRB" / "Training" / track, label)
        else:
            artist.save(folder / "GTSRB" / "Final_Test" / "Images" / f"{number:05d}.ppm", label)
            lines.append(f"{number:05d}.ppm;53;54;6;5;48;49;{label}")
    _lines(folder / "GT-final_test.csv", lines)


def _imagenette(root: Path, artist: Artist) -> None:
    for part, number, label in artist.parts("train", "val"):
        synset = ("n01440764", "n02102040", "n03888257")[label]
        artist.save(root / "imagenette2" / part / synset / f"{synset}_{number}.JPEG", label)


def _pets(root: Path, artist: Artist) -> None:
    folder = root / "oxford-iiit-pet"
    listed: dict[str, list[str]] = {"trainval": [], "test": []}
    for part, number, label in artist.parts(*listed):
        breed = ("Abyssinian", "american_bulldog", "Bengal")[label]
        listed[part].append(f"{breed}_{number} {label + 1} {1 + (label == 1)} 1")
        artist.save(folder / "images" / f"{breed}_{number}.jpg", label)
    for part, lines in listed.items():
        _lines(folder / "annotations" / f"{part}.txt", lines)


def _rendered_sst2(root: Path, artist: Artist) -> None:
    for part, number, label in artist.parts("train", "valid", "test"):
        name = ("negative", "positive", "positive")[label]
        artist.save(root / "rendered-sst2" / part / name / f"{number:05d}.png", label)


def _sun397(root: Path, artist: Artist) -> None:
    names = ("/a/abbey", "/b/barn/indoor", "/y/yard")
    for _, number, label in artist.parts("all"):
        artist.save(root / "SUN397" / names[label][1:] / f"sun_a{number:03d}.jpg", label)
    _lines(root / "SUN397" / "ClassName.txt", list(names))


def _stanford_cars(root: Path, artist: Artist) -> None:
    folder = root / "stanford_cars"
    kind = np.dtype([("bbox_x1", "O"), ("class", "O"), ("fname", "O")])
    rows: dict[str, list[tuple[int, int, str]]] = {"cars_train": [], "cars_test": []}
    for part, number, label in artist.parts(*rows):
        rows[part].append((3, label + 1, f"{number:05d}.jpg"))
        artist.save(folder / part / rows[part][-1][2], label)
    (folder / "devkit").mkdir()
    names = np.array(["AM General Hummer SUV 2000", "BMW M3", "smart fortwo"], "O")
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": names})
    for path, part in (
        ("devkit/cars_train_annos.mat", "cars_train"),
        ("cars_test_annos_withlabels.mat", "cars_test"),
    ):
        savemat(folder / path, {"annotations": np.array(rows[part], kind)[None]})


WRITERS: dict[str, Callable[[Path, Artist], None]] = {
    "CIFAR10": _cifar10,
    "CIFAR100": _cifar100,
    "Country211": _country211,
    "DTD": _dtd,
    "EuroSAT": _eurosat,
    "FGVCAircraft": _aircraft,
    "FashionMNIST": _mnist("FashionMNIST"),
    "Flowers102": _flowers102,
    "Food101": _food101,
    "GTSRB": _gtsrb,
    "Imagenette": _imagenette,
    "KMNIST": _mnist("KMNIST"),
    "MNIST": _mnist("MNIST"),
    "OxfordIIITPet": _pets,
    "RenderedSST2": _rendered_sst2,
    "SUN397": _sun397,
    "SVHN": _svhn,
    "StanfordCars": _stanford_cars,
    "USPS": _usps,
}
