"""Drops of water or mud on the lens."""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from numpy.random import Generator
from scipy import ndimage

from ectool.corruptions.edges import canny
from ectool.corruptions.filters import gaussian
from ectool.corruptions.pixels import Generators, Images, drawn, to_levels, to_unit
from ectool.corruptions.severities import Severities

SPATTER = Severities(
    cifar_c=(
        (0.62, 0.1, 0.7, 0.7, 0.5, False),
        (0.65, 0.1, 0.8, 0.7, 0.5, False),
        (0.65, 0.3, 1.0, 0.69, 0.5, False),
        (0.65, 0.1, 0.7, 0.69, 0.6, True),
        (0.65, 0.1, 0.5, 0.68, 0.6, True),
    ),
    tiny_imagenet_c=(
        (0.62, 0.1, 0.7, 0.7, 0.6, False),
        (0.65, 0.1, 0.8, 0.7, 0.6, False),
        (0.65, 0.3, 1.0, 0.69, 0.6, False),
        (0.65, 0.1, 0.7, 0.68, 0.6, True),
        (0.65, 0.1, 0.5, 0.67, 0.6, True),
    ),
    imagenet_c=(
        (0.65, 0.3, 4.0, 0.69, 0.6, False),
        (0.65, 0.3, 3.0, 0.68, 0.6, False),
        (0.65, 0.3, 2.0, 0.68, 0.5, False),
        (0.65, 0.3, 1.0, 0.65, 1.5, True),
        (0.67, 0.4, 1.0, 0.65, 1.5, True),
    ),
)
"""Mean, deviation, blur and threshold of the liquid; opacity of water or blur of mud; is it mud."""
WATER = np.array([175, 238, 238], np.float32)[:, None, None] / 255
MUD = np.array([63, 42, 20], np.float32)[:, None, None] / 255
DENSE = 0.8
"""Min cover of mud; below it the lens is clean."""
EDGE_LOW, EDGE_HIGH = 50, 150
MAX_DISTANCE = 20
"""Distance from the edge of a drop, in pixels, beyond which its inside does not change."""
EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
"""Filter that lights drops from one corner."""
BOX = np.ones((3, 3))

Layer = Float32[np.ndarray, "h w"]


def spatter(images: Images, severity: int, generators: Generators) -> Images:
    """Add drops of water to the lens (severities 1 to 3), ``x + m * water``, or of mud.

    Mud covers the image, ``(1 - m) * x + m * mud``. Liquid is where blurred normal noise exceeds a
    threshold. For mud, ``m`` is the blurred mask of the liquid where it is dense; for water, ``m``
    is larger in the middle of a drop and on one side of it. Distances to the edge of a drop are
    exact (the authors' are off by some hundredths). A lens without liquid leaves the image
    unchanged (the authors' program divides by zero).
    """
    mean, deviation, sigma, threshold, last, is_mud = SPATTER.of(images, severity)
    size = images.shape[2:]
    noise = drawn(generators, partial(Generator.standard_normal, size=size, dtype=np.float32))
    liquid = gaussian(mean + deviation * noise, sigma)
    planes = to_unit(images)
    if is_mud:
        cover = gaussian((liquid > threshold).astype(np.float32), last)[:, None]
        cover = np.where(cover < DENSE, 0, cover)
        return to_levels(planes * (1 - cover) + cover * MUD)
    drops = np.where(liquid < threshold, 0, liquid)
    shine = np.stack([_shine(each) for each in drops])[:, None]
    return to_levels(planes + np.float32(last) * shine * WATER)


def _shine(drops: Layer) -> Layer:
    """Return the brightness of drops of water, 0 to 1."""
    levels = (drops * 255).astype(np.uint8)
    depth = _equalised(_box(_to_edge(levels)).astype(np.uint8))
    lit = np.clip(ndimage.correlate(depth.astype(np.int32), EMBOSS, mode="mirror"), 0, 255)
    shine = levels * np.rint(_box(lit))
    bright: Layer = (shine / max(shine.max(), 1)).astype(np.float32)
    return bright


def _to_edge(levels: UInt8[np.ndarray, "h w"]) -> Float64[np.ndarray, "h w"]:
    """Return the distance to the next edge, in pixels, at most `MAX_DISTANCE`."""
    edges = canny(levels, EDGE_LOW, EDGE_HIGH)
    if not edges.any():
        return np.full(levels.shape, float(MAX_DISTANCE))
    distances: Float64[np.ndarray, "h w"] = ndimage.distance_transform_edt(~edges)
    return distances.clip(max=MAX_DISTANCE)


def _box(values: np.ndarray) -> Float64[np.ndarray, "h w"]:
    """Return the mean over 3 x 3 pixels, the border mirrored about its pixels."""
    sums: Float64[np.ndarray, "h w"] = ndimage.correlate(values.astype(float), BOX, mode="mirror")
    return sums / BOX.size


def _equalised(levels: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Equalise the histogram; the lowest level becomes 0, a single level stays unchanged."""
    counts = np.bincount(levels.ravel(), minlength=256)
    lowest = int(levels.min())
    others = levels.size - counts[lowest]
    if not others:
        return levels
    shares = (np.cumsum(counts) - counts[lowest]) / others
    table = np.rint(255 * np.maximum(shares, 0)).astype(np.uint8)
    equalised: UInt8[np.ndarray, "h w"] = table[levels]
    return equalised
