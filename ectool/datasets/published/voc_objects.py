"""The annotated objects of an image of PASCAL VOC."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

from ectool.datasets.published.unpacked import Unpacked
from ectool.input_files import XML, read_text

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)


@dataclass(frozen=True)
class VocObject:
    """One annotated object.

    Attributes:
        label: Index of its class.
        is_difficult: Whether it is hard to recognise and does not count.
        box: (x0, y0, x1, y1) from 0, end-exclusive.
    """

    label: int
    is_difficult: bool
    box: tuple[float, float, float, float]


def annotation_of(sample_id: str) -> str:
    """Return the path of the annotation of an image, relative to the data set's folder."""
    return f"Annotations/{sample_id}.xml"


def read_objects(unpacked: Unpacked, sample_id: str) -> list[VocObject]:
    """Return the objects of an image, difficult ones included.

    Documents that declare a type are refused, because they could define entities.

    Raises:
        InputError: The annotation cannot be read or is damaged.
    """
    name = annotation_of(sample_id)
    try:
        text = read_text(unpacked.folder / name, XML)
        if "<!DOCTYPE" in text:
            raise ValueError("a document type")
        return [_parse_object(node) for node in ElementTree.fromstring(text).findall("object")]
    except (ElementTree.ParseError, ValueError, OSError) as error:
        raise unpacked.damaged(name, "objects with name and bndbox", str(error)) from None


def _parse_object(node: ElementTree.Element) -> VocObject:
    """Convert inclusive coordinates from 1, some with decimals, to half-open ones from 0."""
    low = [float(node.findtext(f"bndbox/{side}", "")) - 1 for side in ("xmin", "ymin")]
    high = [float(node.findtext(f"bndbox/{side}", "")) for side in ("xmax", "ymax")]
    if not (low[0] < high[0] and low[1] < high[1]):
        raise ValueError(f"a box from {low} to {high}")
    name = node.findtext("name", "").strip()
    if name not in CLASSES:
        raise ValueError(f"the class {name!r}")
    return VocObject(
        label=CLASSES.index(name),
        is_difficult=node.findtext("difficult", "0").strip() == "1",
        box=(low[0], low[1], high[0], high[1]),
    )
