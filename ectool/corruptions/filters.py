"""Filters of blurs and weather, for any number of planes at once."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Float64, Integer
from scipy import fft, ndimage, sparse

Planes = Float32[np.ndarray, "*n h w"]
Fields = Float64[np.ndarray, "*n h w"]


def gaussian(planes: Planes, sigma: float) -> Planes:
    """Blur with a Gaussian of sigma pixels, cut at 4 sigma, the border repeated."""
    blurred: Planes = ndimage.gaussian_filter(planes, sigma, mode="nearest", axes=(-2, -1))
    return blurred


def smooth(fields: Fields, sigma: float) -> Fields:
    """Blur with a Gaussian of sigma pixels, cut at 3 sigma, the border mirrored with its pixels.

    Such a blur only scales the coefficients of the cosine transform, so the cost does not depend
    on sigma, which may exceed the fields.
    """
    if sigma == 0:
        return fields
    at = np.arange(-int(3 * sigma + 0.5), int(3 * sigma + 0.5) + 1)
    weights = np.exp(-(at**2) / (2 * sigma**2))
    weights /= weights.sum()
    by_row, by_column = (
        (np.cos(np.pi / length * np.outer(np.arange(length), at)) * weights).sum(axis=1)
        for length in fields.shape[-2:]
    )
    spectrum = fft.dctn(fields, axes=(-2, -1)) * np.outer(by_row, by_column)
    smoothed: Fields = fft.idctn(spectrum, axes=(-2, -1))
    return smoothed


@lru_cache(maxsize=16)
def disk(radius: float, sigma: float) -> Float64[np.ndarray, "k k"]:
    """Return a disk that sums to 1, its edge smoothed with a small Gaussian.

    Args:
        radius: Radius of the disk, in pixels.
        sigma: Sigma of the Gaussian, in pixels; it has 3 taps up to a radius of 8, else 5.
    """
    taps = 1 if radius <= 8 else 2
    reach = math.ceil(radius) + taps
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    sharp = (y**2 + x**2 <= radius**2).astype(np.float64)
    sharp /= sharp.sum()
    blurred: Float64[np.ndarray, "k k"] = ndimage.gaussian_filter(sharp, sigma, radius=taps)
    return blurred


def correlate(planes: Planes, kernel: Float[np.ndarray, "k k"]) -> Planes:
    """Correlate with a symmetric kernel of odd side, the border mirrored about its pixels.

    It uses the fast Fourier transform, so the cost hardly depends on the kernel.
    """
    height, width = planes.shape[-2:]
    reach = len(kernel) // 2
    padded = _padded(planes, reach, "reflect")
    size = [fft.next_fast_len(length, real=True) for length in padded.shape[-2:]]
    product = fft.rfft2(padded, size) * fft.rfft2(kernel.astype(np.float32), size)
    whole: Planes = fft.irfft2(product, size)
    return whole[..., 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]


def _padded(
    planes: Planes, reach: int, mode: Literal["edge", "reflect"]
) -> Float32[np.ndarray, "*n taller wider"]:
    """Return planes with ``reach`` more pixels on every side."""
    widths = [(0, 0)] * (planes.ndim - 2) + [(reach, reach)] * 2
    return np.pad(planes, widths, mode=mode)


def motion(planes: Planes, radius: int, sigma: float, angle: float) -> Planes:
    """Blur along a ray, as ImageMagick's ``-motion-blur`` does, the border repeated.

    ``sum_i weight_i * planes[y + dy_i, x + dx_i]`` over the ``2 * radius + 1`` pixels of the ray
    from each pixel in the direction of the angle; ``weight_i`` falls as a half Gaussian,
    ``exp(-i^2 / (2 * sigma^2))``, and sums to 1.

    Args:
        planes: Planes to blur.
        radius: Half the length of the ray, in pixels.
        sigma: Sigma of the half Gaussian, in pixels.
        angle: Angle of the ray, in degrees, from the direction of the rows downwards.
    """
    weights, rows, columns = _ray(radius, sigma, angle)
    height, width = planes.shape[-2:]
    reach = 2 * radius
    padded = _padded(planes, reach, "edge")
    blurred = np.zeros_like(planes)
    for weight, row, column in zip(weights, rows + reach, columns + reach, strict=True):
        blurred += weight * padded[..., row : row + height, column : column + width]
    return blurred


def _ray(
    radius: int, sigma: float, angle: float
) -> tuple[Float32[np.ndarray, "k"], Integer[np.ndarray, "k"], Integer[np.ndarray, "k"]]:
    """Return weight, row and column of every pixel of the ray."""
    at = np.arange(2 * radius + 1)
    weights = np.exp(-(at**2) / (2 * sigma**2))
    turn = math.radians(angle)
    rows, columns = (
        np.ceil(at * part - 0.5).astype(int) for part in (math.sin(turn), math.cos(turn))
    )
    return (weights / weights.sum()).astype(np.float32), rows, columns


def zoom(planes: Planes, factor: float) -> Planes:
    """Enlarge the centre bilinearly to the size of the plane.

    Args:
        planes: Planes to enlarge.
        factor: Factor of the enlargement, at least 1.
    """
    rows, columns = (_places(length, factor) for length in planes.shape[-2:])
    return _between(_between(planes, rows, -2), columns, -1)


def mean_of_zooms(
    planes: Float32[np.ndarray, "n h w"], factors: tuple[float, ...]
) -> Float32[np.ndarray, "n h w"]:
    """Return ``(planes + sum_f zoom(planes, f)) / (1 + number of factors)``.

    A zoom is a product with a sparse matrix on either side, of two weights per row. The matrices of
    all factors are concatenated to one product per side, which is several times as fast as one
    after another for a small number of planes.

    Args:
        planes: Planes to enlarge.
        factors: Factors of the enlargement, each at least 1.
    """
    count, height, width = planes.shape
    on_rows = _zooms(height, factors) @ planes.transpose(1, 0, 2).reshape(height, -1)
    on_rows = on_rows.reshape(len(factors), height, count, width).transpose(0, 3, 2, 1)
    by_column = _zooms(width, factors, is_horizontal=True)
    total = by_column @ on_rows.reshape(len(factors) * width, -1)
    zooms = total.reshape(width, count, height).transpose(1, 2, 0)
    mean: Float32[np.ndarray, "n h w"] = (planes + zooms) / np.float32(1 + len(factors))
    return mean


@lru_cache(maxsize=32)
def _zooms(
    length: int, factors: tuple[float, ...], *, is_horizontal: bool = False
) -> sparse.csr_array:
    """Return the matrices that zoom rows of pixels, concatenated vertically or horizontally."""
    places = np.stack([_places(length, factor) for factor in factors])
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, length - 1)
    number, pixel = np.indices(places.shape)
    shift = number * length
    rows, offset = (pixel, shift) if is_horizontal else (pixel + shift, 0)
    shape = (length, length * len(factors)) if is_horizontal else (length * len(factors), length)
    rest = places - low
    weights = np.stack([1 - rest, rest]).astype(np.float32).ravel()
    at = np.stack([rows, rows]).ravel(), np.stack([low + offset, high + offset]).ravel()
    return sparse.csr_array((weights, at), shape)


def _places(length: int, factor: float) -> Float64[np.ndarray, "length"]:
    """Return the position in a row from which each pixel of its enlarged centre comes.

    The first and the last pixel of the centre become those of the enlarged centre, which is then
    trimmed.
    """
    kept = math.ceil(length / factor)
    enlarged = round(kept * factor)
    trimmed = (enlarged - length) // 2 + np.arange(length)
    return (length - kept) // 2 + trimmed * ((kept - 1) / max(enlarged - 1, 1))


def _between(planes: Planes, places: Float64[np.ndarray, "k"], axis: int) -> Planes:
    """Interpolate linearly along an axis."""
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, planes.shape[axis] - 1)
    rest = (places - low).astype(np.float32)
    rest = rest[:, None] if axis == -2 else rest
    lower = np.take(planes, low, axis)
    between: Planes = lower + rest * (np.take(planes, high, axis) - lower)
    return between
