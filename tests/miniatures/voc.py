"""Miniatures of PASCAL VOC 2007 and 2012 as their archives unpack.

What of the format they show:

- ``VOCdevkit/VOC<year>``: JPEGImages/ID.jpg, Annotations/ID.xml, SegmentationClass/ID.png,
  SegmentationObject/ID.png, ImageSets/Main and ImageSets/Segmentation; ids are ``000005`` in 2007
  and ``2008_000002`` in 2012. Lists are sorted by id, so that the parts of the union alternate.
- Main/<part>.txt lists ids; Main/<class>_<part>.txt has ``ID FLAG`` with the flag right-aligned
  in two columns: 1, -1 (not there), 0 (only objects marked difficult).
- Boxes count pixels from 1 and include both ends. In 2012 the order of the fields differs, a
  person has a ``part`` with a box of its own, and one file has decimals.
- Maps of classes and of objects are PNGs with VOC's palette: index 0 background, 255 for borders
  and difficult objects.
- The segmentation lists of 2012 hold images of 2007 (``2007_000032``) that no list of Main has,
  and JPEGImages one that no list has at all.
- 2007 has a test part with labels, of an archive of its own; 2012 has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from miniatures.scenes import paint, shape, texture

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
PERSON = CLASSES.index("person")
OBJECT_2007 = """\
	<object>
		<name>{name}</name>
		<pose>Unspecified</pose>
		<truncated>0</truncated>
		<difficult>{difficult}</difficult>
		<bndbox>
			<xmin>{xmin}</xmin>
			<ymin>{ymin}</ymin>
			<xmax>{xmax}</xmax>
			<ymax>{ymax}</ymax>
		</bndbox>
	</object>
"""
OBJECT_2012 = """\
	<object>
		<name>{name}</name>
		<bndbox>
			<xmax>{xmax}</xmax>
			<xmin>{xmin}</xmin>
			<ymax>{ymax}</ymax>
			<ymin>{ymin}</ymin>
		</bndbox>
		<difficult>{difficult}</difficult>
		<occluded>0</occluded>
		<pose>Unspecified</pose>{part}
		<truncated>0</truncated>
	</object>
"""
PART = """
		<part>
			<name>head</name>
			<bndbox>
				<xmin>1</xmin>
				<ymin>1</ymin>
				<xmax>4</xmax>
				<ymax>4</ymax>
			</bndbox>
		</part>"""
ANNOTATION = """\
<annotation>
	<folder>VOC{year}</folder>
	<filename>{name}.jpg</filename>
	<source>
		<database>The VOC{year} Database</database>
		<annotation>PASCAL VOC{year}</annotation>
		<image>flickr</image>
	</source>
	<owner>
		<name>Zoë &amp; Käthe</name>
	</owner>
	<size>
		<width>{width}</width>
		<height>{height}</height>
		<depth>3</depth>
	</size>
	<segmented>1</segmented>
{objects}</annotation>
"""


@dataclass(frozen=True)
class Thing:
    label: int
    difficult: bool
    mask: np.ndarray


def write_voc2007(folder: Path, per_class: int = 4) -> Path:
    """Write a miniature of 2007, both archives.

    Args:
        folder: Where the archives would be unpacked.
        per_class: Images with an object of each class in train, val and test each.

    Returns:
        The folder VOC2007.
    """
    return _write(folder, "2007", ("train", "val", "test"), per_class)


def write_voc2012(folder: Path, per_class: int = 4) -> Path:
    """Write a miniature of 2012.

    Args:
        folder: Where the archive would be unpacked.
        per_class: Images with an object of each class in train and val each.

    Returns:
        The folder VOC2012.
    """
    base = _write(folder, "2012", ("train", "val"), per_class)
    image, _ = _draw(np.random.default_rng(1), 0)
    Image.fromarray(image).save(base / "JPEGImages" / "2011_007214.jpg")
    return base


def _write(folder: Path, year: str, parts: tuple[str, ...], per_class: int) -> Path:
    base = folder / "VOCdevkit" / f"VOC{year}"
    for name in ("JPEGImages", "Annotations", "SegmentationClass", "SegmentationObject"):
        (base / name).mkdir(parents=True)
    generator = np.random.default_rng(int(year))
    listed: dict[str, dict[str, list[Thing]]] = {part: {} for part in parts}
    segmented: dict[str, list[str]] = {part: [] for part in parts}
    for number in range(len(CLASSES) * per_class * len(parts)):
        label, part = number // len(parts) % len(CLASSES), parts[number % len(parts)]
        is_old = year == "2012" and number % 14 < 2
        name = _name(year, number, is_old)
        things = _write_image(base, name, year, generator, label)
        if not is_old:
            listed[part][name] = things
        if is_old or number // len(parts) % 3 == 0:
            segmented[part].append(name)
            _write_maps(base, name, things)
    _write_lists(base / "ImageSets", listed, segmented)
    return base


def _name(year: str, number: int, is_old: bool) -> str:
    if year == "2007":
        return f"{3 * number + 5:06d}"
    return f"2007_{9 * number + 32:06d}" if is_old else f"2008_{3 * number + 2:06d}"


def _draw(generator: np.random.Generator, label: int) -> tuple[np.ndarray, list[Thing]]:
    """Draw one or two objects, of which any may be difficult; the second covers the first."""
    width, height = generator.permutation([56, 42])
    image, things = texture(generator, width, height), []
    for turn in range(generator.integers(1, 3)):
        at = (width * (0.3 + 0.4 * turn + generator.uniform(-0.1, 0.1)), height * 0.5)
        radius = min(width, height) * generator.uniform(0.25, 0.35)
        thing = label if turn == 0 else int(generator.integers(len(CLASSES)))
        mask = shape(thing, width, height, at, radius)
        paint(image, mask, thing, len(CLASSES))
        things.append(Thing(thing, bool(generator.random() < 0.15), mask))
    return image, things


def _write_image(
    base: Path, name: str, year: str, generator: np.random.Generator, label: int
) -> list[Thing]:
    image, things = _draw(generator, label)
    Image.fromarray(image).save(base / "JPEGImages" / f"{name}.jpg", quality=95)
    template = OBJECT_2007 if year == "2007" else OBJECT_2012
    text = ANNOTATION.format(
        year=year,
        name=name,
        width=image.shape[1],
        height=image.shape[0],
        objects="".join(_object(template, thing, name) for thing in things),
    )
    (base / "Annotations" / f"{name}.xml").write_text(text, "utf-8")
    return things


def _object(template: str, thing: Thing, name: str) -> str:
    rows, columns = np.flatnonzero(thing.mask.any(1)), np.flatnonzero(thing.mask.any(0))
    corners = {"xmin": columns[0], "xmax": columns[-1], "ymin": rows[0], "ymax": rows[-1]}
    from_one = {key: int(value) + 1 for key, value in corners.items()}
    if name.startswith("2007_"):
        from_one |= {"xmin": f"{from_one['xmin'] + 0.25}", "xmax": f"{from_one['xmax'] - 0.25}"}
    part = PART if thing.label == PERSON else ""
    return template.format(
        name=CLASSES[thing.label], difficult=int(thing.difficult), part=part, **from_one
    )


def _write_maps(base: Path, name: str, things: list[Thing]) -> None:
    classes = np.zeros_like(things[0].mask, np.uint8)
    objects = classes.copy()
    for number, thing in enumerate(things, 1):
        grown = thing.mask.copy()
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            grown |= np.roll(thing.mask, step, axis)
        for pixels, index in ((classes, thing.label + 1), (objects, number)):
            pixels[grown] = 255
            pixels[thing.mask] = 255 if thing.difficult else index
    for kind, pixels in (("SegmentationClass", classes), ("SegmentationObject", objects)):
        image = Image.fromarray(pixels).convert("P")
        image.putpalette(_palette())
        image.save(base / kind / f"{name}.png")


def _palette() -> list[int]:
    """Return VOC's colours: the bits of an index, dealt out to red, green and blue in turn."""
    colours = np.zeros((256, 3), np.int64)
    for bit in range(8):
        colours[:, bit % 3] |= (np.arange(256) >> bit & 1) << 7 - bit // 3
    return colours.ravel().tolist()


def _write_lists(
    sets: Path, listed: dict[str, dict[str, list[Thing]]], segmented: dict[str, list[str]]
) -> None:
    (sets / "Main").mkdir(parents=True)
    (sets / "Segmentation").mkdir()
    listed["trainval"] = listed["train"] | listed["val"]
    segmented["trainval"] = segmented["train"] + segmented["val"]
    for part, names in segmented.items():
        (sets / "Segmentation" / f"{part}.txt").write_text("".join(f"{n}\n" for n in sorted(names)))
    for part, images in listed.items():
        (sets / "Main" / f"{part}.txt").write_text("".join(f"{n}\n" for n in sorted(images)))
        for label, name in enumerate(CLASSES):
            rows = [f"{n} {_flag(images[n], label):2d}\n" for n in sorted(images)]
            (sets / "Main" / f"{name}_{part}.txt").write_text("".join(rows))


def _flag(things: list[Thing], label: int) -> int:
    difficult = [thing.difficult for thing in things if thing.label == label]
    return -1 if not difficult else 0 if all(difficult) else 1
