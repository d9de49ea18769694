"""Conversion of decoded pixels of all modes to RGB, grey levels and masks.

The functions take an image that has not been loaded yet, because only its header defines how its
bits were stored. They raise ValueError for pixels without a defined colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageOps, TiffTags

Levels = np.ndarray[Any, np.dtype[Any]]

STRIP = 2**18
"""Pixels that are converted at once, where a conversion takes several times their size."""
HALF = 128
"""Lowest level of the object in a mask in a lossy format."""

_PLAIN = ("1", "L", "P", "LA", "PA", "La", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr")
_WIDE = ("PNG", "TIFF", "JPEG2000", "PPM")
"""Formats whose 16-bit grey goes from black at 0 to white at the maximum."""
_LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000")
_WHITE_IS_ZERO = 0
_UNSIGNED = (1, 4)
"""Sample formats of TIFF: unsigned integers, and undefined, which readers treat the same."""
_GREY_STEPS = {"L;2": 85, "L;4": 17}
"""Factors by which Pillow multiplies levels of 2 and 4 bits."""
_TAGS = {tag.name: number for number, tag in TiffTags.TAGS_V2.items()}


def as_rgb(image: Image.Image) -> Image.Image:
    """Return an image in RGB; transparent pixels are blended with white.

    Args:
        image: Not loaded yet.
    """
    raw = _load_upright(image)
    _check_defined(image, raw)
    if image.mode.startswith("I"):
        return _from_wide(image)
    transparent = image.info.get("transparency")
    if raw in _GREY_STEPS and isinstance(transparent, int):
        image.info["transparency"] = transparent * _GREY_STEPS[raw]
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """Return an image in RGB, blended with white."""
    shown = Image.new("RGB", image.size)
    for top, part in _strips(image):
        white = Image.new("RGBA", part.size, "white")
        shown.paste(Image.alpha_composite(white, part.convert("RGBA")).convert("RGB"), (0, top))
    return shown


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield the first row and the pixels of whole rows; a small image is one strip."""
    height = max(1, STRIP // max(1, image.width))
    if image.height <= height:
        yield 0, image
        return
    for top in range(0, image.height, height):
        yield top, image.crop((0, top, image.width, min(top + height, image.height)))


def as_grey(image: Image.Image) -> UInt8[np.ndarray, "h w"]:
    """Return the grey levels of an image of 8 bits a channel; an alpha channel is ignored."""
    _check_defined(image, _load_upright(image))
    if image.mode.startswith("I"):
        raise ValueError("16-bit pixels instead of 8-bit ones")
    levels = np.empty((image.height, image.width), np.uint8)
    for top, part in _strips(image):
        levels[top : top + part.height] = np.asarray(_without_alpha(part).convert("L"))
    return levels


def object_of(image: Image.Image) -> Bool[np.ndarray, "h w"]:
    """Return which pixels of a mask belong to the object.

    These are the pixels that are not zero: not index 0 of a palette (not black in a GIF, whose
    palettes have no fixed order), not black in colours. In lossy formats black is not exactly
    black: there the object begins at the level 128. An alpha channel is ignored.
    """
    _load_upright(image)
    is_wide, is_lossy = image.mode.startswith("I"), image.format in _LOSSY
    is_white_zero = _tag(image, "PhotometricInterpretation", None) == _WHITE_IS_ZERO
    if image.mode != "F" and not is_wide:
        _check_defined(image, "")
    half, highest = HALF * 257 if is_wide else HALF, 0
    inside = np.empty((image.height, image.width), np.bool_)
    for top, part in _strips(image):
        stored = _mask_levels(part, is_gif=image.format == "GIF")
        levels = stored.reshape(*stored.shape[:2], -1)
        if is_white_zero and is_wide:
            levels = _white(image) - levels.astype(np.int64)
        is_object = levels >= half if is_lossy else levels != 0
        inside[top : top + part.height] = is_object.any(axis=2)
        highest = max(highest, levels.max(initial=0))
    if is_lossy and not inside.any() and highest:
        raise ValueError(f"a mask in a lossy format whose maximum level is {highest:g}")
    alpha = image.getchannel("A") if "A" in image.getbands()[1:] else None
    if alpha is not None and inside.all() and len(set(alpha.getextrema())) > 1:
        raise ValueError("a mask whose colours are object everywhere, and an alpha channel")
    return inside


def _mask_levels(image: Image.Image, *, is_gif: bool) -> Levels:
    """Return indices, levels or colours, which are zero outside the object."""
    if image.mode == "F" or image.mode.startswith("I"):
        levels = np.asarray(image)
        if not np.isfinite(levels).all():
            raise ValueError("a mask of NaN or infinity")
        return levels
    if image.mode == "PA" or (image.mode == "P" and not is_gif):
        return np.asarray(image.getchannel("P") if image.mode == "PA" else image)
    return np.asarray(_without_alpha(image))


def _without_alpha(image: Image.Image) -> Image.Image:
    """Return grey levels or colours as stored, without the alpha channel."""
    if image.mode in ("1", "L"):
        return image
    if image.mode in ("LA", "La"):
        return image.getchannel("L")
    if image.mode == "RGBa":
        return Image.merge("RGB", [image.getchannel(band) for band in "RGB"])
    return image.convert("RGB")


def _check_defined(image: Image.Image, raw: str) -> None:
    """Check that the colour of each pixel is defined."""
    signed = set(_each(_tag(image, "SampleFormat", _UNSIGNED[0]))) - {*_UNSIGNED}
    sampled = _tag(image, "YCbCrSubSampling", (2, 2)) if image.mode == "YCbCr" else (1, 1)
    is_keyed = raw.startswith("RGB;16") and "transparency" in image.info
    if image.mode == "F" or 3 in signed:
        raise ValueError("floating-point pixels, whose white is not defined")
    if signed:
        raise ValueError("pixels with a sign, whose white is not defined")
    if image.mode.startswith("I"):
        _check_wide(image)
    elif image.mode not in _PLAIN:
        raise ValueError(f"pixels of the mode {image.mode}; save it as RGB")
    elif tuple(sampled) != (1, 1):
        raise ValueError("subsampled colours without compression; save it as RGB")
    elif is_keyed:
        raise ValueError("a transparent colour of 16 bits a channel; save it as RGBA")


def _check_wide(image: Image.Image) -> None:
    """Check that white is defined for integers of more than 8 bits."""
    is_wide = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")
    if not is_wide:
        raise ValueError("32-bit pixels, whose white is not defined")
    if image.format not in _WIDE:
        raise ValueError(f"16-bit pixels of {image.format}, whose white is not defined")


def _from_wide(image: Image.Image) -> Image.Image:
    """Return 16-bit grey in RGB, each level rounded to 8 bits."""
    white, transparent = _white(image), image.info.get("transparency")
    is_white_zero = _tag(image, "PhotometricInterpretation", None) == _WHITE_IS_ZERO
    levels = np.empty((image.height, image.width), np.uint8)
    for top, part in _strips(image):
        grey = np.asarray(part).astype(np.int64)
        if grey.min(initial=0) < 0 or grey.max(initial=0) > white:
            raise ValueError(f"levels beyond 0 to {white}")
        shown = (grey * 255 + white // 2) // white
        if is_white_zero:
            shown = 255 - shown
        if transparent is not None:
            shown[grey == transparent] = 255
        levels[top : top + part.height] = shown
    return Image.fromarray(levels).convert("RGB")


def _white(image: Image.Image) -> int:
    """Return the value of white in pixels of more than 8 bits."""
    bits: int = _each(_tag(image, "BitsPerSample", 16))[0]
    return int(2**bits - 1)


def _tag(image: Image.Image, name: str, default: object) -> Any:  # noqa: ANN401 (values of TIFF tags)
    """Return a tag of a TIFF file, or the default."""
    tags: Mapping[int, object] = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    return tags.get(_TAGS[name], default)


def _each(value: Any) -> tuple[Any, ...]:  # noqa: ANN401 (values of TIFF tags)
    return value if isinstance(value, tuple) else (value,)


def _load_upright(image: Image.Image) -> str:
    """Decode an image, apply its EXIF orientation, and return its stored mode.

    Returns:
        The raw mode of the decoder; empty if it has none.
    """
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    ImageOps.exif_transpose(image, in_place=True)
    return first if isinstance(first, str) else ""
